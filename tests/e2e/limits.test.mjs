// Limits of the server as its clients meet them: descriptors, heads that drip, connections.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { test } from "node:test";
import { curl, eventually, run, seconds, sleep, startDaemon, startUpstream, stopwatch } from "./harness.mjs";

const upstream = await startUpstream();

async function setDescriptorLimit(pid, limit) {
  const { code, err } = await run("prlimit", ["--pid", String(pid), `--nofile=${limit}:`]);
  assert.equal(code, 0, err);
}

// CPU seconds that the process has used so far.
function cpuOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

// Connections that say nothing; `ended` counts those that the server closed.
function connectAll(port, count, text = "") {
  const all = { sockets: [], received: [], ended: 0 };
  for (let i = 0; i < count; i += 1) {
    const socket = net.connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => (all.ended += 1));
    socket.on("data", (data) => (all.received[i] = (all.received[i] ?? "") + data));
    if (text) socket.write(text);
    all.sockets.push(socket);
  }
  all.close = () => all.sockets.forEach((socket) => socket.destroy());
  return all;
}

test("without descriptors existing streams go on, nothing spins, and new connections come within a second", async () => {
  const daemon = await startDaemon({ upstream });
  await upstream.setList("fd", [{ id: "a", n: 0 }]);
  const client = await daemon.subscriber();
  await client.subscribe("list-complete", { name: "fd" });
  await client.waitForItems("list-complete", { name: "fd" }, ["a"]);
  const used = readdirSync(`/proc/${daemon.pid}/fd`).length;
  await setDescriptorLimit(daemon.pid, used);
  const shut = connectAll(daemon.port, 30);
  await eventually(() => shut.ended === 30, { what: "an end of all connections" });
  await daemon.waitForLine(/cannot accept connections for now/);
  const before = cpuOf(daemon.pid);
  const begin = performance.now();
  const pressing = setInterval(() => connectAll(daemon.port, 2), 50);
  await upstream.setList("fd", [{ id: "a", n: 1 }]);
  await client.waitFor("updated_item");
  await sleep(2000);
  clearInterval(pressing);
  // Who spins has all of a core, or half where two share it.
  const [cpu, time] = [cpuOf(daemon.pid) - before, (performance.now() - begin) / 1000];
  assert.ok(cpu < 0.25 * time, `${cpu} s of CPU in ${time} s`);
  await setDescriptorLimit(daemon.pid, 1024);
  const start = stopwatch();
  await eventually(async () => (await curl("--max-time", "1", `${daemon.url}/livez`)).status === 200, { every: 10 });
  assert.ok(start() < seconds(1), `${start()} ms`);
  await client.close();
});

test("clients cannot take the descriptors that polls and the database need", async () => {
  const daemon = await startDaemon({ upstream, limit: 256 });
  await daemon.waitForLine(/limit of open files is lower than limits\.connections needs/);
  const client = await daemon.subscriber();
  const crowd = connectAll(daemon.port, 400, "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n");
  await eventually(() => crowd.received.filter(Boolean).length + crowd.ended >= 300, { what: "answers" });
  const full = await curl(`${daemon.url}/channels`).catch(() => null);
  assert.ok(full === null || full.status === 503 || full.code !== 0);
  // Held open: kept alive, but within the places that there are.
  const held = crowd.sockets.filter((socket) => !socket.destroyed && socket.readyState === "open").length;
  assert.ok(held <= 128, `${held} are held`);
  assert.ok(readdirSync(`/proc/${daemon.pid}/fd`).length < 220);
  await upstream.setList("crowded", [{ id: "a" }]);
  await client.subscribe("list-complete", { name: "crowded" });
  await client.waitForItems("list-complete", { name: "crowded" }, ["a"]);
  crowd.close();
  await eventually(async () => (await curl(`${daemon.url}/channels`)).status === 200, { what: "a place again" });
  // The alert for a full house looks at how many there may be, not at how many were wished for.
  assert.match((await curl(`${daemon.url}/metrics`)).body, /^restream_connections_limit 128$/m);
});

test("1,000 heads that drip delay nobody, and each gets 408 five seconds after it connected", async () => {
  const daemon = await startDaemon({ upstream, config: { limits: { connections_per_address: 2000 } } });
  const start = Date.now();
  const slow = connectAll(daemon.port, 1000, "GET /channels HTTP/1.1\r\n");
  const dripping = setInterval(() => slow.sockets.forEach((socket) => socket.writable && socket.write("X")), 400);
  await eventually(async () => slow.sockets.every((socket) => !socket.connecting), { what: "1,000 connections" });
  const asked = stopwatch();
  assert.equal((await curl(`${daemon.url}/livez`)).status, 200);
  assert.ok(asked() < seconds(2), `${asked()} ms`);
  await eventually(() => slow.ended === 1000, { what: "an end of all" });
  clearInterval(dripping);
  const took = Date.now() - start;
  assert.ok(took >= 4_500 && took <= seconds(12), `${took} ms`);
  const told = slow.received.filter((text) => text?.startsWith("HTTP/1.1 408 ")).length;
  assert.ok(told >= 990, `${told} were told`);
});

test("a head of more than 8 KiB is 431", async () => {
  const daemon = await startDaemon({ upstream });
  const answer = await curl("-H", `X-Long: ${"x".repeat(8200)}`, `${daemon.url}/channels`);
  assert.equal(answer.status, 431);
  assert.equal((await curl("-H", `X-Long: ${"x".repeat(7000)}`, `${daemon.url}/channels`)).status, 200);
});

test("over the limits of connections the answer is 503 with Retry-After", async () => {
  const daemon = await startDaemon({ upstream, config: { limits: { connections_per_address: 2 } } });
  // What started the daemon asked it whether it is ready, and keeps that connection for some seconds.
  const patiently = () => eventually(() => daemon.subscriber().catch(() => null));
  const clients = [await patiently(), await patiently()];
  const refused = await curl(`${daemon.url}/channels`);
  assert.equal(refused.status, 503);
  assert.match(refused.headers["retry-after"], /^[0-9]+$/);
  const stream = await curl("-H", "Accept: text/event-stream", `${daemon.url}/channels/list?name=a`);
  assert.equal(stream.status, 503);
  await assert.rejects(daemon.subscriber(), /503/);
  assert.equal((await curl(`${daemon.url}/livez`)).status, 200);
  for (const client of clients) await client.close();
  await eventually(async () => (await curl(`${daemon.url}/channels`)).status === 200, { what: "a place again" });
});
