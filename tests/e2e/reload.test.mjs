// SIGHUP reads the configuration anew: what changes under connections that stay, what waits for a restart, what is
// refused.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUILD, curl, Daemon, eventually, run, sleep, startUpstream } from "./harness.mjs";
import { by, fetcher, file, following, hosts, overwrite, rename, start } from "./hot.mjs";

const upstream = await startUpstream();
const count = (daemon, pattern) => [...daemon.log().matchAll(new RegExp(pattern, "g"))].length;

// Writes the configuration and has it read; `says` is the line that tells of the end.
async function reload(daemon, config, says = "configuration read anew") {
  if (typeof config === "string") daemon.writeConfig(config);
  else daemon.writeConfig(`${JSON.stringify(config, null, 2)}\n`);
  const before = count(daemon, says);
  daemon.signal("SIGHUP");
  await eventually(() => count(daemon, says) > before, { what: says }).catch((error) => {
    throw new Error(`${error.message}\n${daemon.log()}`);
  });
}

// A daemon, its configuration to change, and a subscriber of one list.
async function begin(name, config = {}) {
  await upstream.setList(name, [{ id: "a" }]);
  const daemon = await new Daemon({ upstream, config }).start();
  const socket = await daemon.subscriber();
  await socket.subscribe("list", { name });
  await socket.waitForItems("list", { name }, ["a"]);
  socket.forget();
  return { daemon, socket, next: structuredClone(daemon.config) };
}

test("a poll interval changes under a subscriber, for the poll that is planned, too", async () => {
  const { daemon, socket, next } = await begin("paced", { fetchers: { list: { poll_interval: "1h" } } });
  await upstream.setList("paced", [{ id: "a" }, { id: "b" }]);
  await socket.expectNone("new_item", 2000);
  next.fetchers.list.poll_interval = "1s";
  await reload(daemon, next);
  await socket.waitFor("new_item", ({ id }) => id === "b");
});

test("requests go to another origin from now on", async () => {
  const other = await startUpstream();
  const { daemon, socket, next } = await begin("moved");
  await other.setList("moved", [{ id: "a" }, { id: "elsewhere" }]);
  next.fetchers.list.origin = other.url;
  await reload(daemon, next);
  await socket.waitFor("new_item", ({ id }) => id === "elsewhere");
  await other.stop();
});

test("fetchers come, go and come back", async () => {
  const { daemon, socket, next } = await begin("guests");
  next.fetchers["second-list"] = { ...next.fetchers.list, plugin: "list" };
  await reload(daemon, next);
  await eventually(async () => (await daemon.get("/fetchers/second-list")).json.health?.state === "live", { what: "it" });
  await socket.subscribe("second-list", { name: "guests" });
  await socket.waitForItems("second-list", { name: "guests" }, ["a"]);

  const without = structuredClone(next);
  delete without.fetchers["second-list"];
  await reload(daemon, without);
  const gone = await socket.waitFor("status", ({ channel, state }) => channel === "second-list" && state === "unavailable");
  assert.equal(gone.reason, "removed");

  await reload(daemon, next);
  await socket.waitFor("status", ({ channel, state }) => channel === "second-list" && state === "live");
  await upstream.setList("guests", [{ id: "a" }, { id: "b" }]);
  await socket.waitFor("new_item", ({ channel, id }) => channel === "second-list" && id === "b");
});

test("a fetcher is disabled and enabled, and given another plugin", async () => {
  const { daemon, socket, next } = await begin("switched");
  const leaver = await daemon.subscriber();
  await leaver.subscribe("list", { name: "switched" });
  const off = structuredClone(next);
  off.fetchers.list.enabled = false;
  await reload(daemon, off);
  const status = await socket.waitFor("status", ({ state }) => state === "unavailable");
  assert.equal(status.reason, "disabled");
  leaver.send({ action: "unsubscribe", channel: "list", params: { name: "switched" } });
  assert.deepEqual((await leaver.waitFor("unsubscribed")).params, { name: "switched" });
  await leaver.close();
  const asked = (await upstream.requests("/list/switched")).length;
  await socket.expectNone("new_item", 2500);
  assert.equal((await upstream.requests("/list/switched")).length, asked);
  await reload(daemon, next);
  await socket.waitFor("status", ({ state }) => state === "live");

  // `list` by the plugin list-complete: an item that is missing is a removed one.
  next.fetchers.list.plugin = "list-complete";
  await reload(daemon, next);
  await upstream.setList("switched", [{ id: "b" }]);
  await socket.waitFor("removed_item", ({ id }) => id === "a");
  next.fetchers.list.plugin = "not-there";
  await reload(daemon, next);
  assert.match((await socket.waitFor("status", ({ reason }) => reason === "removed")).message, /not-there\.so/);
});

test("limits, pins, web origins and the log's form change at once", async () => {
  const { daemon, socket, next } = await begin("bounded");
  const page = { headers: { origin: "https://app.example.com" } };
  assert.equal((await fetch(`${daemon.url}/channels`, page)).headers.get("access-control-allow-origin"), null);
  await upstream.setList("pinned", [{ id: "p" }]);
  next.limits = { subscriptions_per_connection: 1 };
  next.listen.origins = ["https://app.example.com"];
  next.fetchers.list.pinned = [{ name: "pinned" }];
  next.log = { format: "json" };
  await reload(daemon, next);
  assert.equal(
    (await fetch(`${daemon.url}/channels`, page)).headers.get("access-control-allow-origin"),
    "https://app.example.com",
  );
  socket.send({ action: "subscribe", channel: "list", params: { name: "another" } });
  assert.equal((await socket.waitFor("error")).code, "too_many_subscriptions");
  await eventually(() => upstream.requests("/list/pinned").then((all) => all.length > 0), { what: "a poll of the pinned one" });
  const last = daemon.log().trim().split("\n").filter((line) => line.includes("configuration read anew")).at(-1);
  const line = JSON.parse(last);
  assert.equal(line.msg, "configuration read anew");
  assert.equal(line.level, "info");
  assert.match(line.time, /^20[0-9-]+T[0-9:.]+Z$/);

  next.limits.connections = 1;
  await reload(daemon, next);
  assert.equal((await curl(`${daemon.url}/channels`)).status, 503);
  await socket.expectNone("error", 100);
  assert.equal(socket.close_, undefined);
});

test("tokens begin and end", async () => {
  const { daemon, socket, next } = await begin("guarded");
  const stream = await fetch(`${daemon.url}/channels/list?name=guarded`, { headers: { accept: "text/event-stream" } });
  const file = join(daemon.folder, "tokens.yaml");
  const sha256 = createHash("sha256").update("open-sesame").digest("hex");
  writeFileSync(file, JSON.stringify([{ name: "one", sha256 }]));
  chmodSync(file, 0o640);
  const guarded = { ...next, auth: { tokens: file } };
  await reload(daemon, guarded, "tokens read anew");
  assert.equal((await curl(`${daemon.url}/channels`)).status, 401);
  assert.equal((await curl("-H", "Authorization: Bearer open-sesame", `${daemon.url}/channels`)).status, 200);
  // Who came in without a token does not stay.
  await eventually(() => socket.close_, { what: "a close" });
  assert.equal(socket.close_.code, 1008);
  assert.equal(socket.close_.reason, "a token is needed");
  assert.match(await stream.text(), /^event: snapshot$/m);
  const invited = await daemon.subscriber({ headers: { authorization: "Bearer open-sesame" } });
  await reload(daemon, next, "everybody who can connect may listen");
  assert.equal((await curl(`${daemon.url}/channels`)).status, 200);
  await invited.expectNone("error", 1500);
  assert.equal(invited.close_, undefined);
});

test("what needs a restart is named, and stays", async () => {
  const { daemon, socket, next } = await begin("fixed");
  next.listen.port = daemon.port + 1;
  next.state.directory = join(daemon.folder, "elsewhere");
  await reload(daemon, next);
  await daemon.waitForLine(/a restart is needed.*keys=.*listen\.port, state\.directory/);
  assert.equal((await curl(`${daemon.url}/livez`)).status, 200);
  assert.ok(!existsSync(next.state.directory));
  await upstream.setList("fixed", [{ id: "a" }, { id: "b" }]);
  await socket.waitFor("new_item", ({ id }) => id === "b");
});

test("a configuration that is not right changes nothing, and the log says where", async () => {
  const { daemon, socket, next } = await begin("kept");
  next.fetchers["second-list"] = { ...next.fetchers.list, plugin: "list" };
  const text = JSON.stringify({ ...next, limits: { conections: 5 } }, null, 2);
  const line = text.split("\n").findIndex((one) => one.includes("conections")) + 1;
  await reload(daemon, text, "the configuration is refused; it stays as it was");
  assert.match(daemon.log(), new RegExp(`restream\\.yaml:${line}: unknown key 'conections' in limits; did you mean 'connections'`));
  assert.equal((await daemon.get("/fetchers/second-list")).status, 404);

  const asked = await run(join(BUILD, "bin/restreamctl"), ["--socket", join(daemon.config.state.directory, "control.sock"), "reload"]);
  assert.equal(asked.code, 1);
  assert.match(asked.err, /the configuration stays as it was: .*conections/);

  // A file that it names is part of it.
  await reload(daemon, { ...next, auth: { tokens: "/nonexistent" } }, "the configuration is refused");
  assert.equal((await daemon.get("/fetchers/second-list")).status, 404);
  assert.equal((await curl(`${daemon.url}/channels`)).status, 200);

  await upstream.setList("kept", [{ id: "a" }, { id: "b" }]);
  await socket.waitFor("new_item", ({ id }) => id === "b");
  await reload(daemon, next);
  await eventually(async () => (await daemon.get("/fetchers/second-list")).status === 200, { what: "the fetcher" });
});

test("a plugin file that is refused for its permissions stays refused, whatever becomes of the configuration", async () => {
  const daemon = await start(upstream);
  overwrite(daemon, "v1");
  chmodSync(file(daemon), 0o664);
  await daemon.waitForLine(/plugin refused.*its group/);
  const next = structuredClone(daemon.config);
  next.fetchers.hot.poll_interval = "200ms";
  await reload(daemon, next);
  next.fetchers.twin = { ...next.fetchers.hot, plugin: "hot" };
  await reload(daemon, next);
  await sleep(1500);
  assert.deepEqual(hosts(daemon), []);
  for (const name of ["hot", "twin"]) {
    const { health } = await fetcher(daemon, name);
    assert.deepEqual([health.state, health.reason], ["unavailable", "refused"], name);
    assert.match(health.last_error, /its group/);
  }
  chmodSync(file(daemon), 0o644);
  await eventually(async () => (await fetcher(daemon)).health.state === "live", { what: "hot" });
  await following(upstream, daemon, "mended");
});

// The configuration of a daemon whose plugin is being replaced: the new version has been asked to introduce itself, and
// takes a second for that.
async function beginReplacing(name) {
  const daemon = await start(upstream, "v1");
  const client = await following(upstream, daemon, name);
  rename(daemon, "late");
  await eventually(() => count(daemon, "plugin loaded") === 2, { what: "the new version" });
  return { daemon, client, next: structuredClone(daemon.config) };
}

test("an origin that changes while a new version introduces itself is where its requests go", async () => {
  const other = await startUpstream();
  await other.setList("between", [{ id: "1" }]);
  const { daemon, client, next } = await beginReplacing("between");
  next.fetchers.hot.origin = other.url;
  await reload(daemon, next);
  await client.waitFor("updated_item", by("9"));
  await other.setList("between", [{ id: "1" }, { id: "elsewhere" }]);
  await client.waitFor("new_item", ({ id, item }) => id === "elsewhere" && item.by === "9");
  await other.stop();
});

test("a fetcher that is disabled while a new version introduces itself stays disabled", async () => {
  const { daemon, client, next } = await beginReplacing("asleep");
  next.fetchers.hot.enabled = false;
  await reload(daemon, next);
  await client.waitFor("status", ({ reason }) => reason === "disabled");
  await daemon.waitForLine(/plugin replaced/);
  const asked = (await upstream.requests("/list/asleep")).length;
  await sleep(1000);
  assert.equal((await upstream.requests("/list/asleep")).length, asked);
  next.fetchers.hot.enabled = true;
  await reload(daemon, next);
  await client.waitFor("updated_item", by("9"));
  // What was taken over without anybody to ask tells its version now.
  const shown = async () => (await daemon.get("/channels/restream-status")).json.items.find(({ id }) => id === "host/hot")?.item;
  await eventually(async () => (await shown())?.version === "9", { what: "the version" });
});
