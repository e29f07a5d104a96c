// Which files of the plugins directory are loaded, and what is said of the others.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { eventually, pluginFile, Replica, sleep, startUpstream, stopwatch } from "./harness.mjs";
import { by, fetcher, file, following, hosts, overwrite, PROMISE, rename, start, unharmed } from "./hot.mjs";

const upstream = await startUpstream();
after(() => upstream.stop());
const good = pluginFile("hot-v1");
const isRoot = process.geteuid() === 0;

// Each makes something at `path` that must not be loaded.
const bad = {
  cut: {
    make: (path) => writeFileSync(path, readFileSync(good).subarray(0, 20_000), { mode: 0o644 }),
    reason: /cut short/,
  },
  text: { make: (path) => writeFileSync(path, "no library\n".repeat(100), { mode: 0o644 }), reason: /no ELF file/ },
  link: { make: (path) => symlinkSync(good, path), reason: /a symbolic link/ },
  pipe: { make: (path) => execFileSync("mkfifo", [path]), reason: /a FIFO/ },
  folder: { make: (path) => mkdirSync(path), reason: /a directory/ },
  group: {
    make: (path) => {
      copyFileSync(good, path);
      chmodSync(path, 0o664);
    },
    reason: /its group/,
    mend: (path) => chmodSync(path, 0o644),
  },
  world: {
    make: (path) => {
      copyFileSync(good, path);
      chmodSync(path, 0o646);
    },
    reason: /everybody/,
    mend: (path) => chmodSync(path, 0o644),
  },
  ...(isRoot && {
    foreign: {
      make: (path) => {
        copyFileSync(good, path);
        chmodSync(path, 0o644);
        chownSync(path, 12345, 12345);
      },
      reason: /belongs to user 12345/,
      mend: (path) => chownSync(path, 0, 0),
    },
  }),
};
// Made beside, so that it appears in one step.
function put({ make }, path) {
  const beside = join(path, "..", `.made-${Math.random()}`);
  make(beside);
  rmSync(path, { recursive: true, force: true });
  renameSync(beside, path);
}

test("bad files that are there at the start: each is refused and shown with its reason, and the good one serves", async () => {
  const daemon = await start(upstream);
  await daemon.stop();
  overwrite(daemon, "v1");
  for (const [name, one] of Object.entries(bad)) put(one, file(daemon, name));
  await daemon.start();
  for (const [name, { reason }] of Object.entries(bad)) {
    const { health } = await fetcher(daemon, name);
    assert.deepEqual([health.state, health.reason], ["unavailable", "refused"], name);
    assert.match(health.last_error, reason);
    const line = new RegExp(`plugin refused.*file=\\S*/${name}\\.so.*`).exec(daemon.log())?.[0];
    assert.match(line ?? "no line", reason);
  }
  const client = await daemon.subscriber();
  client.send({ action: "subscribe", channel: "pipe", params: { name: "x" } });
  assert.match((await client.waitFor("error", ({ code }) => code === "unavailable")).message, /a FIFO/);
  await following(upstream, daemon, "good");
  await daemon.stop();
});

test("bad files in a running daemon: refused and named once, tried again when they change", async () => {
  const daemon = await start(upstream);
  for (const [name, { make, reason, mend }] of Object.entries(bad)) {
    const from = daemon.log().length;
    make(file(daemon));
    const line = await eventually(() => /plugin refused.*/.exec(daemon.log().slice(from))?.[0], { what: `a line: ${name}` });
    assert.match(line, reason);
    assert.match(line, /file=\S*hot\.so/);
    assert.match((await fetcher(daemon)).health.last_error, reason);
    assert.equal((await fetch(`${daemon.url}/readyz`)).status, 200);
    daemon.signal("SIGHUP");
    await sleep(200);
    assert.equal(daemon.log().slice(from).match(/plugin refused/g).length, 1, "said once");
    if (mend) mend(file(daemon));
    else put({ make: (path) => copyFileSync(good, path) }, file(daemon));
    const mended = stopwatch();
    await eventually(async () => (await fetcher(daemon)).health.state === "live", { what: `a mended ${name}` });
    assert.ok(mended() < PROMISE, `${name}: ${mended()} ms`);
    rmSync(file(daemon), { recursive: true });
    await eventually(async () => (await fetcher(daemon)).health.reason === "removed", { what: "its removal" });
  }
  await eventually(() => hosts(daemon).length === 0, { what: "an end of the last host" });
  await daemon.stop();
});

test("bad files in the place of one that serves: it goes on serving", async () => {
  const daemon = await start(upstream, "v1");
  const client = await following(upstream, daemon, "kept");
  let n = 0;
  for (const [name, one] of Object.entries(bad)) {
    const from = daemon.log().length;
    put(one, file(daemon));
    const line = await eventually(() => /plugin file refused.*/.exec(daemon.log().slice(from))?.[0], { what: name });
    assert.match(line, one.reason);
    assert.match(line, /refused="no version" serving=1/);
    ++n;
    await upstream.setList("kept", [{ id: "1", n }]);
    await client.waitFor("updated_item", (message) => message.item.n === n);
  }
  rmSync(file(daemon), { recursive: true, force: true });
  rename(daemon, "v2");
  await client.waitFor("updated_item", by("2"));
  unharmed(client);
  new Replica("hot", { name: "kept" }).follow(client);
  await daemon.stop();
});

test("two files that claim one name: the one that bears it stays, the other is refused by name, in any order", async () => {
  const daemon = await start(upstream);
  await daemon.stop();
  for (const name of ["a-copy", "hot", "z-copy"]) daemon.addPlugin(name, good);
  await daemon.start();
  const client = await following(upstream, daemon, "claimed");
  for (const name of ["a-copy", "z-copy"]) {
    assert.match((await fetcher(daemon, name)).health.last_error, /its name is 'hot'/);
    assert.match(daemon.log(), new RegExp(`plugin refused.*${name}\\.so.*its name is 'hot'`));
  }
  daemon.addPlugin("later", pluginFile("hot-v2"));
  await daemon.waitForLine(/plugin refused.*later\.so.*its name is 'hot'.*version=2/);
  assert.equal((await fetcher(daemon)).version, "1");
  unharmed(client);
  await daemon.stop();
});

test("a file whose name the configuration gives to another plugin is refused by name", async () => {
  const one = { plugin: "hot", origin: upstream.url, allow_private: true };
  const daemon = await start(upstream, "v1", { fetchers: { list: one } });
  daemon.addPlugin("list");
  await daemon.waitForLine(/plugin refused.*list\.so.*gives the fetcher 'list' to the plugin hot\.so/);
  assert.equal((await fetcher(daemon, "list")).health.state, "live");
  await daemon.stop();
});

test("a directory that others may write to: no file of it is loaded until that is mended", async () => {
  const daemon = await start(upstream);
  await daemon.stop();
  overwrite(daemon, "v1");
  chmodSync(daemon.pluginFolder, 0o777);
  await daemon.start();
  assert.match((await fetcher(daemon)).health.last_error, /the plugins directory may be written to by everybody/);
  assert.match(daemon.log(), /plugins\.directory is not as it must be.*everybody/);
  chmodSync(daemon.pluginFolder, 0o755);
  await eventually(async () => (await fetcher(daemon)).health.state === "live", { what: "hot" });
  // Once more, while it serves: what is loaded stays.
  chmodSync(daemon.pluginFolder, 0o775);
  await daemon.waitForLine(/plugin file refused.*its group/);
  await following(upstream, daemon, "loose");
  await daemon.stop();
});

test("a directory that is missing at the start, and is replaced later", async () => {
  const daemon = await start(upstream);
  await daemon.stop();
  rmSync(daemon.pluginFolder, { recursive: true });
  await daemon.start();
  assert.match(daemon.log(), /plugins\.directory is not as it must be.*No such file/);
  mkdirSync(daemon.pluginFolder, { mode: 0o755 });
  overwrite(daemon, "v1");
  daemon.signal("SIGHUP");
  const told = stopwatch();
  await eventually(async () => (await fetcher(daemon)).health.state === "live", { what: "hot" });
  assert.ok(told() < PROMISE, `it took ${told()} ms`);
  const client = await following(upstream, daemon, "moved");
  await daemon.waitForLine(/plugins\.directory is fine/);

  const other = `${daemon.pluginFolder}.other`;
  mkdirSync(other, { mode: 0o755 });
  copyFileSync(pluginFile("hot-v2"), join(other, "hot.so"));
  chmodSync(join(other, "hot.so"), 0o644);
  renameSync(daemon.pluginFolder, `${daemon.pluginFolder}.old`);
  renameSync(other, daemon.pluginFolder);
  await client.waitFor("updated_item", by("2"));
  // The new one is watched.
  rename(daemon, "v1");
  await client.waitFor("updated_item", by("1"));
  unharmed(client);
  await daemon.stop();
});
