// The keystore beside a running daemon: new keys reach it by themselves, an older keystore is refused.
import assert from "node:assert/strict";
import {
  chmodSync, copyFileSync, lstatSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { BUILD, Daemon, eventually, PROGRAMS, run, seconds, startDaemon, startUpstream } from "./harness.mjs";

const credentials = JSON.parse(readFileSync(new URL("../upstream/demo-keys.json", import.meta.url)));
const key = credentials["nyt-top"]["api-key"];
const upstream = await startUpstream();
const options = {
  upstream,
  plugins: ["nyt-top"],
  config: { fetchers: { "nyt-top": { quota: { calls: 100_000, per: "hour" } } } },
  keys: { another: { name: "a value of another fetcher" } },
};

async function restreamKeys(daemon, words, input = "") {
  const { file, master_key } = daemon.config.keys;
  const ended = await run(PROGRAMS.keys, ["--file", file, "--master-key", master_key, ...words], { input });
  assert.equal(ended.code, 0, ended.err);
  return ended.out;
}

// Puts `from` in the place of the keystore, as a backup would be put back.
function putBack(daemon, from) {
  copyFileSync(from, `${daemon.config.keys.file}.back`);
  renameSync(`${daemon.config.keys.file}.back`, daemon.config.keys.file);
}

const keysOf = async (daemon) => (await daemon.get("/fetchers/nyt-top")).json.keys;

test("a key that is set beside a running daemon makes its channels live, with nobody telling it", async () => {
  const daemon = await startDaemon(options);
  const client = await daemon.subscriber();
  await client.subscribe("nyt-top", { section: "world" });
  const status = await client.waitFor("status", ({ state }) => state === "needs_key");
  assert.equal(status.reason, "missing_key");
  assert.match(status.message, /api-key/);
  assert.deepEqual(await keysOf(daemon), { "api-key": "missing" });

  // As people do it who read the message.
  const [, command] = /set it with `(restream-keys .*)`/.exec(status.message);
  const socket = join(daemon.config.state.directory, "control.sock");
  const told = await run(join(BUILD, "bin/restreamctl"), ["--socket", socket, "status"]);
  assert.ok(told.out.includes(`set its key: ${command}\n`), told.out);
  const pasted = await run("sh", ["-c", `PATH=${dirname(PROGRAMS.keys)}:$PATH; ${command}`], { input: key });
  assert.equal(pasted.code, 0, pasted.err);
  await client.waitFor("status", ({ state }) => state === "live");
  await client.waitFor("new_item");
  assert.deepEqual(await keysOf(daemon), { "api-key": "present" });

  await restreamKeys(daemon, ["set", "nyt-top", "left-over"], "whatever");
  const unused = async () => (await keysOf(daemon))["left-over"] === "unused";
  await eventually(unused, { what: "the key that nobody declares" });

  // Where a key must never be: the log, the state, the command line and the environment.
  const state = await run("find", [daemon.config.state.directory, "-type", "f"]);
  const places = state.out.trim().split("\n");
  assert.ok(places.length >= 3, state.out);
  places.push(`/proc/${daemon.pid}/cmdline`, `/proc/${daemon.pid}/environ`);
  for (const place of places) assert.ok(!readFileSync(place, "latin1").includes(key), `a key is in ${place}`);
  assert.ok(!daemon.log().includes(key));
  await daemon.stop();
});

// Its channel has failed so often that its next poll, whose time it tells, is a while off.
async function longUnauthorized() {
  const own = { ...options, keys: { "nyt-top": { "api-key": "a wrong value" } } };
  const daemon = await startDaemon(own);
  const client = await daemon.subscriber();
  await client.subscribe("nyt-top", { section: "world" });
  const status = await client.waitFor("status", ({ state }) => state === "failing");
  assert.equal(status.reason, "unauthorized");
  assert.ok(!JSON.stringify(status).includes("a wrong value"));
  // Until the backoff (1, 2, 4, … 32 s, and half of each at least) is long enough to tell, on slow machines too.
  const farPoll = async () => {
    const next = Date.parse((await daemon.get("/channels")).json.channels[0].next_poll);
    return next - Date.now() > seconds(12) && next;
  };
  const next = await eventually(farPoll, { within: seconds(90), what: "a long backoff", every: 200 });
  return { daemon, client, next };
}

test("a wrong key that is replaced by the right one ends the backoff, with no restart", async () => {
  const { daemon, client, next } = await longUnauthorized();
  await restreamKeys(daemon, ["set", "nyt-top", "api-key"], key);
  await client.waitFor("status", ({ state }) => state === "live");
  await client.waitFor("new_item");
  assert.ok(Date.now() < next, `${Date.now() - next} ms after the poll that the old key would have waited for`);
  await daemon.stop();
});

test("a wrong key that is replaced while no daemon runs ends the backoff too; one that is not, does not", async () => {
  const { daemon, next } = await longUnauthorized();
  await daemon.restart();
  let client = await daemon.subscriber();
  await client.subscribe("nyt-top", { section: "world" });
  const [channel] = (await daemon.get("/channels")).json.channels;
  assert.ok(Math.abs(Date.parse(channel.next_poll) - next) < 100, `${channel.next_poll}, before ${new Date(next)}`);
  await daemon.stop();
  await restreamKeys(daemon, ["set", "nyt-top", "api-key"], key);
  await daemon.start();
  client = await daemon.subscriber();
  await client.subscribe("nyt-top", { section: "world" });
  await client.waitFor("new_item");
  assert.ok(Date.now() < next, `${Date.now() - next} ms after the poll that the old key would have waited for`);
  await daemon.stop();
});

test("an older keystore is refused, the newer one's keys stay, until the rollback is accepted", async () => {
  const daemon = await startDaemon({ ...options, keys: { "nyt-top": { "api-key": key } } });
  const { file } = daemon.config.keys;
  const older = join(daemon.folder, "older");
  copyFileSync(file, older);
  await restreamKeys(daemon, ["set", "nyt-top", "second"], "another value");
  await eventually(async () => "second" in (await keysOf(daemon)), { what: "the newer keystore" });
  assert.equal(statSync(join(daemon.config.state.directory, "keystore.seen")).mode & 0o777, 0o600);

  putBack(daemon, older);
  await daemon.waitForLine(/it is older \(generation 2\) than the one read before \(generation 3\)/);
  assert.ok("second" in (await keysOf(daemon)), "the keys stay as they were");
  await daemon.stop();

  const refused = await daemon.refuse();
  assert.equal(refused.code, 3);
  // As it would be pasted, from another folder than the daemon's.
  const [, hint] = /it is older .*run `(.*--accept-rollback)` once/.exec(refused.text);
  const accepted = await run("sh", ["-c", `sudo() { "$@"; }; cd /; PATH=${BUILD}/bin:$PATH; ${hint}`]);
  assert.equal(accepted.code, 0, `${hint}: ${accepted.err}`);
  assert.match(accepted.out, /generation 2 is accepted from now on/);
  await daemon.start();
  assert.deepEqual(await keysOf(daemon), { "api-key": "present" });

  // The accepted one is the newest now: the other history, with the same generation, is refused in its turn.
  await restreamKeys(daemon, ["set", "nyt-top", "third"], "a third value");
  await eventually(async () => "third" in (await keysOf(daemon)), { what: "the keystore after the rollback" });
  await daemon.stop();
});

test("another keystore in its place is refused, and so is a damaged memory", async () => {
  const daemon = await startDaemon({ ...options, keys: { "nyt-top": { "api-key": key } } });
  await daemon.stop();
  rmSync(daemon.config.keys.file);
  await restreamKeys(daemon, ["init"]);
  const refused = await daemon.refuse();
  assert.equal(refused.code, 3);
  assert.match(refused.text, /another keystore than the one read before/);
  const { code, text } = await daemon.refuse("--accept-rollback");
  assert.equal(code, 0, text);
  await daemon.start();
  await daemon.stop();

  const memory = join(daemon.config.state.directory, "keystore.seen");
  writeFileSync(memory, "garbage\n");
  const damaged = await daemon.refuse();
  assert.equal(damaged.code, 3);
  assert.match(damaged.text, /what was remembered of the keystore is damaged.*--accept-rollback/);
});

test("nothing to accept is said so", async () => {
  const daemon = new Daemon({ ...options, keys: undefined });
  const { code, text } = await daemon.refuse("--accept-rollback");
  assert.equal(code, 3);
  assert.match(text, /is not there, so there is nothing to accept/);
});

// The keystore with one bit of its last byte turned.
function damaged(file) {
  const bytes = readFileSync(file);
  bytes[bytes.length - 1] ^= 1;
  return bytes;
}

test("a bad keystore at the start: exit 3, what is wrong and what mends it, and every file as it was", async () => {
  const daemon = await startDaemon({ ...options, keys: { "nyt-top": { "api-key": key } } });
  await daemon.stop();
  const { file, master_key: master } = daemon.config.keys;
  const good = readFileSync(file);
  const goodMaster = readFileSync(master);
  const memory = join(daemon.config.state.directory, "keystore.seen");
  const remembered = readFileSync(memory);
  const elsewhere = join(daemon.folder, "elsewhere");
  const faults = [
    { spoil: () => writeFileSync(file, damaged(file)), says: /the keystore is damaged: .*It was left as it is; bring back a copy/ },
    { spoil: () => writeFileSync(file, good.subarray(0, 200)), says: /the keystore is damaged: .*It was left as it is/ },
    { spoil: () => chmodSync(file, 0o644), says: /keystore .* has mode 0644, .*Mend it: chmod 0600 / },
    {
      spoil: () => {
        renameSync(file, elsewhere);
        symlinkSync(elsewhere, file);
      },
      says: /keystore .* is a symbolic link, .*readlink -f /,
    },
    {
      spoil: () => writeFileSync(master, Buffer.alloc(32, "k")),
      says: /wrong master key, or the header was altered: .*restream-keys --file .* --master-key .* verify/,
    },
    { spoil: () => chmodSync(master, 0o640), says: /master key .* has mode 0640, .*Mend it: chmod 0600 / },
  ];
  for (const { spoil, says } of faults) {
    spoil();
    const look = () => {
      const { ino, mode, mtimeMs } = lstatSync(file);
      return { ino, mode, mtimeMs, keystore: readFileSync(file), master: readFileSync(master) };
    };
    const before = look();
    const { code, text } = await daemon.refuse();
    assert.equal(code, 3, text);
    assert.match(text, says);
    assert.ok(!text.includes(key));
    assert.deepEqual(look(), before);
    assert.deepEqual(readFileSync(memory), remembered);

    rmSync(file);
    rmSync(elsewhere, { force: true });
    writeFileSync(file, good, { mode: 0o600 });
    writeFileSync(master, goodMaster);
    chmodSync(master, 0o600);
  }
  await daemon.start();
  assert.deepEqual(await keysOf(daemon), { "api-key": "present" });
  await daemon.stop();
});

test("a keystore that is damaged while the daemon runs: the keys stay, polls go on, and the log says so", async () => {
  const daemon = await startDaemon({ ...options, keys: { "nyt-top": { "api-key": key } } });
  const { file } = daemon.config.keys;
  const good = readFileSync(file);
  const client = await daemon.subscriber();
  await client.subscribe("nyt-top", { section: "world" });
  await client.waitFor("new_item");

  const bad = damaged(file);
  writeFileSync(`${file}.bad`, bad, { mode: 0o600 });
  renameSync(`${file}.bad`, file);
  await daemon.waitForLine(/level=error msg="the keystore cannot be read; the keys stay as they were" reason=".*the keystore is damaged/);
  client.forget();
  await upstream.change();
  await client.waitFor(null, ({ type }) => type === "new_item" || type === "updated_item");
  assert.deepEqual(await keysOf(daemon), { "api-key": "present" });
  assert.equal((await daemon.get("/channels")).json.channels[0].state, "live");
  assert.deepEqual(readFileSync(file), bad);

  // It says so once for each change, not at every look.
  assert.equal(daemon.log().match(/the keystore cannot be read/g).length, 1);
  writeFileSync(`${file}.good`, good, { mode: 0o600 });
  renameSync(`${file}.good`, file);
  await daemon.waitForLine(/keys read anew/);
  await daemon.stop();
});
