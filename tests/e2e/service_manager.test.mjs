// What restreamd tells systemd, heard on a socket like systemd's; and the listening socket that systemd may hand over.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUILD, Daemon, eventually, freePort, Process, PROGRAMS, run, sleep, startUpstream, subscriber, temporaryFolder } from "./harness.mjs";

const upstream = await startUpstream();

// Listens as systemd does. `told` is what came so far, each message as {NAME: value}.
async function startListening() {
  const path = join(temporaryFolder(), "notify");
  const listener = new Process(join(BUILD, "tests/tools/notified"), [path], { input: "open" });
  await listener.waitForLine(/^bound$/m);
  const told = () =>
    listener
      .output()
      .split("\n")
      .slice(1, -1)
      .map((line) => Object.fromEntries(line.split("|").map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)])));
  const tells = (what, found) => eventually(() => told().find(found), { what }).catch((error) => {
    throw new Error(`${error.message}; it told ${JSON.stringify(told())}`);
  });
  return { path, told, tells };
}

test("systemd hears READY with a status, RELOADING and READY around a reload, the next status, STOPPING at the end", async () => {
  const systemd = await startListening();
  const daemon = new Daemon({ upstream, plugins: ["nyt-top"] });
  const keystore = ["--file", daemon.config.keys.file, "--master-key", daemon.config.keys.master_key];
  assert.equal((await run(PROGRAMS.keys, [...keystore, "init"])).code, 0);
  await daemon.start({ under: ["env", `NOTIFY_SOCKET=${systemd.path}`] });
  const ready = await systemd.tells("READY=1", ({ READY }) => READY === "1");
  assert.equal(ready.STATUS, `listening on 127.0.0.1:${daemon.port}; next: restream-keys ${keystore.join(" ")} set nyt-top api-key`);
  assert.deepEqual(systemd.told().filter(({ WATCHDOG }) => WATCHDOG), [], "nobody has asked for signs of life");

  for (const config of [daemon.config, { ...daemon.config, limits: { conections: 5 } }]) {
    daemon.writeConfig(`${JSON.stringify(config, null, 2)}\n`);
    const before = systemd.told().length;
    const earliest = process.hrtime.bigint() / 1000n; // CLOCK_MONOTONIC, as systemd wants it
    daemon.signal("SIGHUP");
    await systemd.tells("READY=1 after a reload", ({ READY }, i) => i >= before && READY);
    const [reloading, again] = systemd.told().slice(before).filter(({ RELOADING, READY }) => RELOADING || READY);
    assert.equal(reloading.RELOADING, "1");
    assert.match(reloading.MONOTONIC_USEC, /^[0-9]+$/);
    const when = BigInt(reloading.MONOTONIC_USEC);
    assert.ok(when >= earliest && when <= process.hrtime.bigint() / 1000n, `${when} is not between ${earliest} and now`);
    assert.equal(again.READY, "1");
    assert.match(again.STATUS, /^listening on /);
  }

  assert.equal((await run(PROGRAMS.keys, [...keystore, "set", "nyt-top", "api-key"], { input: "demo-not-a-real-key" })).code, 0);
  await systemd.tells("a status without a thing to do", ({ STATUS, READY }) => !READY && /; 1 fetchers, 0 channels polled$/.test(STATUS ?? ""));

  await daemon.stop();
  const stopping = await systemd.tells("STOPPING=1", ({ STOPPING }) => STOPPING === "1");
  assert.equal(stopping.STATUS, "sending subscribers away");
  assert.equal(systemd.told().at(-1).STOPPING, "1", "and nothing after it");
});

test("with a watchdog it gives a sign of life twice in its time, and none while it hangs", async () => {
  const systemd = await startListening();
  const daemon = new Daemon({ upstream });
  await daemon.start({ under: ["env", `NOTIFY_SOCKET=${systemd.path}`, "WATCHDOG_USEC=600000"] });
  const signs = () => systemd.told().filter(({ WATCHDOG }) => WATCHDOG === "1").length;
  const before = signs();
  const begin = performance.now();
  await sleep(3000);
  const ms = performance.now() - begin;
  const heard = signs() - before;
  assert.ok(heard >= 5 && heard <= ms / 300 + 2, `${heard} signs of life in ${ms} ms`);
  daemon.signal("SIGSTOP");
  await sleep(1000); // what it said before is here by now
  const then = signs();
  await sleep(1000);
  assert.equal(signs(), then);
  daemon.signal("SIGCONT");
  await eventually(() => signs() > then, { what: "another sign of life" });
});

const activate = (daemon, ...words) => new Process("systemd-socket-activate", [...words, PROGRAMS.daemon, "--config", daemon.configFile]);

test("a socket that is handed over is listened on in place of listen.address", async () => {
  await upstream.setList("handed", [{ id: "a" }]);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // What the configuration names is not bound: there is no such address here.
  const daemon = new Daemon({ upstream, config: { listen: { address: "192.0.2.1", port: 1 } } });
  const process_ = activate(daemon, `--listen=127.0.0.1:${port}`);
  await process_.waitForLine(/Listening on/);
  // The first connection starts it, and is served.
  const answer = await eventually(() => fetch(`${url}/channels/list?name=handed`).catch(() => null), { what: "an answer" });
  assert.deepEqual((await answer.json()).items, [{ id: "a", item: { id: "a" } }]);
  await process_.waitForLine(new RegExp(`listening.*address=127\\.0\\.0\\.1:${port}\\b`));
  const socket = await subscriber(url);
  await socket.subscribe("list", { name: "handed" });
  await upstream.setList("handed", [{ id: "a" }, { id: "b" }]);
  await socket.waitFor("new_item", ({ id }) => id === "b");
  // It has replaced systemd-socket-activate, and no plugin's process has the socket.
  const { pid } = process_;
  const handed = readlinkSync(`/proc/${pid}/fd/3`);
  assert.match(handed, /^socket:/);
  const hosts = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  assert.ok(hosts.length >= 2);
  for (const host of hosts)
    for (const one of readdirSync(`/proc/${host}/fd`)) assert.notEqual(readlinkSync(`/proc/${host}/fd/${one}`), handed);
  process_.signal("SIGTERM");
  assert.equal((await process_.waitForEnd()).code, 0);
  await socket.waitForClose();
});

test("sockets that it cannot use are refused with a sentence", async () => {
  const daemon = new Daemon({ upstream });
  const [one, two] = [await freePort(), await freePort()];
  const refused = async (say, ...words) => {
    const process_ = activate(daemon, ...words);
    await process_.waitForLine(/Listening on/);
    await fetch(`http://127.0.0.1:${one}/`).catch(() => null);
    assert.equal((await process_.waitForEnd()).code, 2);
    assert.match(process_.log(), say);
  };
  await refused(/restreamd: the socket unit hands over 2 sockets, and one can be used/, `--listen=127.0.0.1:${one}`, `--listen=127.0.0.1:${two}`);
  const datagrams = activate(daemon, "--datagram", `--listen=127.0.0.1:${one}`);
  await datagrams.waitForLine(/Listening on/);
  await run("bash", ["-c", `echo x >/dev/udp/127.0.0.1/${one}`]);
  assert.equal((await datagrams.waitForEnd()).code, 2);
  assert.match(datagrams.log(), /restreamd: the socket unit hands over something that is no listening TCP socket/);
});
