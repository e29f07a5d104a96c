// restreamctl and a running daemon: what an operator sees and does.
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { BUILD, eventually, Process, run, startDaemon, startUpstream, temporaryFolder } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream, config: { fetchers: { list: { poll_interval: "1h" } } } });
const socket = join(daemon.config.state.directory, "control.sock");
const ctl = (...words) => run(join(BUILD, "bin/restreamctl"), ["--socket", socket, ...words]);

test("the socket is nobody else's", () => {
  assert.equal(statSync(socket).mode & 0o777, 0o600);
});

test("status tells version, address, fetchers and channels, in words and as JSON", async () => {
  await upstream.setList("shown", [{ id: 1 }, { id: 2 }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "shown" });
  await client.waitForItems("list", { name: "shown" }, [1, 2]);
  const words = await ctl("status");
  assert.equal(words.code, 0, words.err);
  assert.match(words.out, new RegExp(`^restream \\S+, pid ${daemon.pid}, up \\d+ s, ${daemon.url}, ready$`, "m"));
  assert.match(words.out, /^list +live +1 +0 +/m);
  assert.match(words.out, /^list\?name=shown +live +2 +1 +\d\d:\d\d:\d\dZ/m);
  const { out } = await ctl("status", "--json");
  const status = JSON.parse(out);
  assert.equal(status.pid, daemon.pid);
  assert.equal(status.ready, true);
  assert.deepEqual(status.fetchers.map(({ name }) => name).sort(), ["list", "list-complete", "restream-status"]);
  await client.close();
});

test("poll asks the API now, and tail prints what comes of it", async () => {
  await upstream.setList("tailed", [{ id: "a" }]);
  const tail = new Process(join(BUILD, "bin/restreamctl"), ["--socket", socket, "tail", "list?name=tailed"]);
  await tail.waitForLine(/"new_item".*"id":"a"/);
  const obeyed = "\u009b31m red \u007f \u001b[2J";
  await upstream.setList("tailed", [{ id: "a" }, { id: "b", text: "x".repeat(70_000), obeyed }]);
  const polled = await ctl("poll", "list?name=tailed");
  assert.equal(polled.code, 0, polled.err);
  await tail.waitForLine(/"new_item".*"id":"b"/);
  await eventually(() => tail.output().endsWith("\n"), { what: "the whole of a long line" });
  const told = tail.output().trim().split("\n").map((line) => JSON.parse(line));
  for (const message of told) assert.equal(message.channel, "list");
  assert.equal(told.at(-1).item.obeyed, obeyed);
  assert.doesNotMatch(tail.output(), /(?!\n)[\p{Cc}]/u, "nothing that a terminal obeys");
  const stranger = await ctl("poll", "list?name=nobody-follows-this");
  assert.equal(stranger.code, 1);
  assert.match(stranger.err, /nobody follows list\?name=nobody-follows-this/);
  const subscribers = async () => (await daemon.get("/channels")).json.channels.find(({ id }) => id === "list?name=tailed").subscribers;
  assert.equal(await subscribers(), 1);
  tail.signal("SIGTERM");
  await eventually(async () => (await subscribers()) === 0, { what: "the end of the tail" });
});

test("a message that is larger than all that may wait is told, too", async () => {
  const channel = "list?name=heavy";
  await upstream.setList("heavy", [{ id: "a", text: "x".repeat(1_500_000) }]);
  const tail = new Process(join(BUILD, "bin/restreamctl"), ["--socket", socket, "tail", channel]);
  await tail.waitForLine(/"type":"new_item".*"id":"a"/);
  tail.signal("SIGTERM");
});

test("a tail whose client is gone before it begins does not follow the channel for ever", async () => {
  process.kill(daemon.pid, "SIGSTOP"); // so that it finds request and end at once
  const client = net.connect(socket);
  await new Promise((sent) => client.end('{"verb":"tail","name":"list?name=left-at-once"}\n', sent));
  process.kill(daemon.pid, "SIGCONT");
  const subscribers = async () =>
    (await daemon.get("/channels")).json.channels.find(({ id }) => id === "list?name=left-at-once")?.subscribers;
  await eventually(async () => (await subscribers()) === 0, { what: "the end of the tail" });
});

test("forget refuses a channel that is followed, and drops one that nobody knows any more", async () => {
  const refused = await ctl("forget", "list?name=tailed");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /try again later/);
  const unknown = await ctl("forget", "list?name=never");
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /nothing is kept of 'list\?name=never'/);
  await daemon.restart();
  const before = (await upstream.requests("/list/tailed")).length;
  const done = await ctl("forget", "list?name=tailed");
  assert.equal(done.code, 0, done.err);
  // Had it been kept, its interval of an hour would keep it from being polled, and its items would be a snapshot.
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "tailed" });
  await client.waitFor("new_item", ({ id }) => id === "a");
  assert.equal((await upstream.requests("/list/tailed")).length, before + 1);
});

test("a plugin that is held is released, and one that is not held is left alone", async () => {
  const refused = await ctl("release", "list");
  assert.equal(refused.code, 1);
  assert.match(refused.err, /the plugin of 'list' is not held/);
  assert.match((await ctl("release", "nobody")).err, /no fetcher 'nobody'/);
});

test("what a plugin says of itself is shown as text: it steers no terminal, and a pasted hint runs nothing of it", async () => {
  const rude = await startDaemon({ plugins: ["rude-key", "rude-words"] });
  const path = join(rude.config.state.directory, "control.sock");
  const { out, err, code } = await run(join(BUILD, "bin/restreamctl"), ["--socket", path, "status"]);
  assert.equal(code, 0, err);
  assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  assert.match(out, /^rude-words .*must be an object$/m);
  const [, hint] = /^rude-key .*set its key: (.*)$/m.exec(out);
  assert.match(hint, / set rude-key /);
  const folder = temporaryFolder();
  const pasted = await run("sh", ["-c", `cd ${folder}; PATH=${BUILD}/bin:$PATH; ${hint} < /dev/null`]);
  assert.equal(pasted.code, 2, pasted.err);
  assert.match(pasted.err, /the key's name breaks the rule/);
  assert.deepEqual(readdirSync(folder), []);
  await rude.stop();
});

test("reload says what was read", async () => {
  const { code, out } = await ctl("reload");
  assert.equal(code, 0);
  assert.match(out, /keys, tokens, certificate and plugins read anew/);
});

test("a channel whose name cannot be said in JSON is refused, also where a message cuts it, and harms nothing", async () => {
  for (const channel of ["list?name=%FF", `list?x${"é".repeat(40)}=1`]) {
    const refused = await ctl("poll", channel);
    assert.equal(refused.code, 1, refused.err);
    assert.match(refused.err, /UTF-8|unknown param/);
  }
  // Bytes that are no text at all, as a mistyped locale makes them.
  const odd = await run("sh", ["-c", `exec "$0" --socket "$1" poll "$(printf 'list?name=\\377')"`, join(BUILD, "bin/restreamctl"), socket]);
  assert.equal(odd.code, 1, odd.err);
  assert.equal((await ctl("status")).code, 0);
});

test("nonsense on the socket is answered or cut off, and harms nothing", async () => {
  const answer = (text) =>
    new Promise((resolve) => {
      const connection = net.connect(socket, () => connection.write(text));
      let heard = "";
      connection.on("data", (data) => (heard += data));
      connection.on("close", () => resolve(heard));
      connection.on("error", () => resolve(heard)); // a reset, when we sent what nobody read
    });
  assert.match(await answer("hello\n"), /one JSON object with a verb.*"ok":false/);
  assert.match(await answer('{"verb":"dance"}\n'), /unknown verb 'dance'/);
  assert.match(await answer('{"verb":"poll"}\n'), /which channel\?/);
  assert.equal(await answer("x".repeat(10_000)), "");
  assert.equal((await ctl("status")).code, 0);
});

test("without a daemon, and with wrong words, it says what to do", async () => {
  const nobody = await run(join(BUILD, "bin/restreamctl"), ["--socket", "/tmp/no-such-socket", "status"]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /restreamd is not running/);
  // --socket may stand where the hint makes people put it: at the end.
  const atEnd = await run(join(BUILD, "bin/restreamctl"), ["status", "--socket", socket]);
  assert.equal(atEnd.code, 0, atEnd.err);
  const dance = await ctl("dance");
  assert.equal(dance.code, 2);
  assert.match(dance.err, /there is no command 'dance'/);
  assert.match((await ctl()).err, /say what to do: status, poll, /);
  assert.equal((await ctl("poll")).code, 2);
  await daemon.stop();
  assert.match((await ctl("status")).err, /is not running/);
});
