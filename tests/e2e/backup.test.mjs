// `restreamctl backup` beside a running daemon, and daemons that begin with what it made.
import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUILD, Daemon, readPosition, run, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const config = { fetchers: { list: { poll_interval: "1h" } } };
const keys = { another: { name: "a value of another fetcher" } };
const daemon = await startDaemon({ upstream, config, keys });
const state = daemon.config.state.directory;
const backup = join(state, "backup");
const ctl = (...words) => run(join(BUILD, "bin/restreamctl"), ["--socket", join(state, "control.sock"), ...words]);
const NAME = { name: "kept" };

// A daemon with the backup in the place of its state, and the same keystore.
async function restored() {
  const next = new Daemon({ upstream, config, keys });
  cpSync(backup, next.config.state.directory, { recursive: true });
  for (const name of ["keys.restream", "master.key"]) cpSync(join(daemon.folder, name), join(next.folder, name));
  return next.start();
}

// One more item, told to the subscriber.
async function add(client, ids, id) {
  ids.push(id);
  await upstream.setList("kept", ids.map((one) => ({ id: one })));
  const polled = await ctl("poll", "list?name=kept");
  assert.equal(polled.code, 0, polled.err);
  return (await client.waitFor("new_item", (item) => item.id === id)).position;
}

test("a backup is whole, and who resumes from behind it gets a snapshot instead of other events", async () => {
  const ids = ["a"];
  await upstream.setList("kept", [{ id: "a" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", NAME);
  await client.waitForItems("list", NAME, ["a"]);
  const before = await add(client, ids, "b");
  const made = await ctl("backup");
  assert.equal(made.code, 0, made.err);
  assert.ok(made.out.includes(backup), made.out);
  assert.deepEqual(readdirSync(backup).sort(), ["hash.key", "keystore.seen", "restream.db"]);
  assert.equal(statSync(backup).mode & 0o777, 0o700);
  for (const name of readdirSync(backup)) assert.equal(statSync(join(backup, name)).mode & 0o077, 0, name);
  for (const name of ["hash.key", "keystore.seen"])
    assert.deepEqual(readFileSync(join(backup, name)), readFileSync(join(state, name)));

  // The daemon goes on, and with it what its subscribers know.
  const behind = await add(client, ids, "c");
  await client.close();

  // Other events take the offsets of those that came after the backup.
  const next = await restored();
  const first = await next.subscriber();
  const known = await first.subscribe("list", NAME);
  assert.equal(readPosition(known.position).offset, readPosition(before).offset);
  assert.notEqual(readPosition(known.position).epoch, readPosition(before).epoch);
  const snapshot = await first.waitFor("snapshot");
  assert.deepEqual(snapshot.items.map(({ id }) => id), ["a", "b"]);
  await upstream.setList("kept", [{ id: "a" }, { id: "b" }, { id: "x" }, { id: "y" }]);
  await run(join(BUILD, "bin/restreamctl"), ["--socket", join(next.config.state.directory, "control.sock"), "poll", "list?name=kept"]);
  await first.waitFor("new_item", ({ id }) => id === "y");
  for (const since of [before, behind]) {
    const late = await next.subscriber();
    assert.equal((await late.subscribe("list", NAME, { since })).resumed, false);
    assert.deepEqual((await late.waitFor("snapshot")).items.map(({ id }) => id), ["a", "b", "x", "y"]);
    await late.close();
  }
  await first.close();
  await next.stop();
});

test("the same backup serves twice, with positions of its own each time", async () => {
  const epochs = new Set();
  for (let i = 0; i < 2; ++i) {
    const next = await restored();
    const client = await next.subscriber();
    const { position } = await client.subscribe("list", NAME);
    epochs.add(readPosition(position).epoch);
    await client.close();
    await next.restart();
    const again = await next.subscriber();
    assert.equal((await again.subscribe("list", NAME, { since: position })).resumed, true);
    await again.close();
    await next.stop();
  }
  assert.equal(epochs.size, 2);
});

test("a backup is made while many polls are committed", async () => {
  const lists = Array.from({ length: 8 }, (_, i) => `busy-${i}`);
  const client = await daemon.subscriber();
  for (const name of lists) {
    await upstream.setList(name, Array.from({ length: 200 }, (_, id) => ({ id, text: `${name} ${"x".repeat(2000)}` })));
    await client.subscribe("list", { name });
    await client.waitFor("new_item", ({ params, id }) => params.name === name && id === "199");
  }
  const polling = (async () => {
    for (let round = 0; round < 5; ++round)
      for (const name of lists) {
        await upstream.setList(name, Array.from({ length: 200 }, (_, id) => ({ id, text: `${name} ${round} ${"y".repeat(2000)}` })));
        await ctl("poll", `list?name=${name}`);
      }
  })();
  const made = await ctl("backup");
  assert.equal(made.code, 0, made.err);
  await polling;
  await client.close();
  assert.ok(!existsSync(join(backup, "restream.db.new")));
  const next = await restored();
  for (const name of lists) assert.equal((await next.get(`/channels/list?name=${name}`)).json.items.length, 200);
  await next.stop();
});

test("a backup that cannot be made says why", async () => {
  const blocked = await startDaemon({ upstream, config });
  cpSync(join(blocked.folder, "restream.yaml"), join(blocked.config.state.directory, "backup"));
  const { code, err } = await run(join(BUILD, "bin/restreamctl"), ["--socket", join(blocked.config.state.directory, "control.sock"), "backup"]);
  assert.equal(code, 1);
  assert.match(err, /backup.*(Not a directory|cannot)/);
  assert.match(blocked.log(), /there is no backup/);
  await blocked.stop();
});
