// Many channels, one credential, an upstream that counts: in real time, through the whole daemon.
//
//   RESTREAM_QUOTA_MINUTES=5 node --test quota.test.mjs     20 channels share 30 calls a minute, for so many minutes
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { join } from "node:path";
import { BUILD, eventually, run, sleep, startDaemon, stopwatch } from "./harness.mjs";

// Counts what comes, and answers 429 when a window of its own, aligned to nothing in particular, is full. It may hear of
// a request late, when the machine has been busy: the request may have come at any time since it was last awake, and
// counts as a call too many only where it was one in any case.
async function limitingUpstream(calls, windowMs, headers = () => ({})) {
  const seen = [];
  let refused = 0;
  const earliest = []; // when each of them may have come
  const offset = Math.random() * windowMs;
  const inWindow = {};
  let awake = performance.now();
  const waking = setInterval(() => (awake = performance.now()), 5);
  const server = createServer((request, response) => {
    const now = performance.now();
    seen.push(now);
    earliest.push(awake);
    const windows = [awake, now].map((time) => Math.floor((time + offset) / windowMs));
    const number = windows.find((one) => (inWindow[one] ?? 0) < calls);
    if (number !== undefined) inWindow[number] = (inWindow[number] ?? 0) + 1;
    const status = number === undefined ? 429 : 200;
    if (status === 429) ++refused;
    response.writeHead(status, { "content-type": "application/json", ...headers(seen.length) });
    response.end(JSON.stringify({ items: [{ id: "1", n: seen.length }] }));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  after(() => {
    clearInterval(waking);
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    refused: () => refused,
    // The most calls in any stretch of that length, wherever it begins.
    most: () => {
      let first = 0;
      let most = 0;
      seen.forEach((time, last) => {
        while (time - earliest[first] >= windowMs) ++first;
        most = Math.max(most, last - first + 1);
      });
      return most;
    },
  };
}

async function share({ calls, per, windowMs, forMs }) {
  const upstream = await limitingUpstream(calls, windowMs);
  const list = { quota: { calls, per } };
  const daemon = await startDaemon({ upstream, config: { fetchers: { list, "list-complete": {} } } });
  const client = await daemon.subscriber();
  for (let i = 0; i < 20; ++i) await client.subscribe("list", { name: `shared-${i}` });
  const time = stopwatch();
  await sleep(forMs);
  const ms = time();
  const made = upstream.seen.length;
  const allowed = (calls * ms) / windowMs;
  console.log(`${made} of ${Math.round(allowed)} calls, at most ${upstream.most()} of ${calls} in a window`);
  assert.equal(upstream.refused(), 0);
  assert.ok(upstream.most() <= calls, `${upstream.most()} calls within a window`);
  assert.ok(made >= 0.85 * allowed, `only ${made} of ${allowed} calls were used`);

  const { json } = await daemon.get("/fetchers/list");
  assert.equal(json.quota.calls, calls);
  assert.equal(json.quota.per, per);
  assert.ok(json.quota.left >= 0 && json.quota.left <= calls);
  assert.ok(Date.parse(json.quota.renews) > Date.now() - 2000);
  await daemon.stop();
}

test("20 channels share what a second allows: never a call too many, and little is left unused", async () => {
  await share({ calls: 10, per: "second", windowMs: 1000, forMs: 15_000 });
});

const minutes = Number(process.env.RESTREAM_QUOTA_MINUTES ?? 0);
test("20 channels share 30 calls a minute", { skip: minutes === 0 && "set RESTREAM_QUOTA_MINUTES" }, async () => {
  await share({ calls: 30, per: "minute", windowMs: 60_000, forMs: minutes * 60_000 });
});

test("a restart refills nothing, in good order or by kill -9, and people hear limited: quota", async () => {
  const upstream = await limitingUpstream(25, 86_400_000);
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: { quota: { calls: 25, per: "day" } } } } });
  const rounds = [() => daemon.restart(), () => daemon.kill9().then(() => daemon.start()), null];
  for (const [number, again] of rounds.entries()) {
    const client = await daemon.subscriber();
    for (let i = 0; i < 10; ++i) await client.subscribe("list", { name: `round-${number}-${i}` });
    await eventually(() => upstream.seen.length >= 10, { what: "ten calls" });
    await sleep(1500);
    assert.ok(upstream.seen.length <= 25, `${upstream.seen.length} calls of 25`);
    if (again) {
      await again();
      continue;
    }
    const limited = await client.waitFor("status", ({ state }) => state === "limited");
    assert.equal(limited.reason, "quota");
    assert.ok(Date.parse(limited.next_poll) > Date.now() + 3_600_000);
  }
  assert.equal(upstream.refused(), 0);
  const { json } = await daemon.get("/fetchers/list");
  assert.equal(json.quota.left, 0);
  await daemon.stop();
});

test("an operator's `poll` asks at once while a call is left, and says when there is one again when none is", async () => {
  const upstream = await limitingUpstream(3, 86_400_000);
  const list = { quota: { calls: 3, per: "day" }, poll_interval: "1h" };
  const daemon = await startDaemon({ upstream, config: { fetchers: { list } } });
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "asked" });
  const poll = () =>
    run(join(BUILD, "bin/restreamctl"), [
      "--socket", join(daemon.config.state.directory, "control.sock"), "poll", "list?name=asked",
    ]);
  const channel = async () => (await daemon.get("/channels")).json.channels.find(({ id }) => id === "list?name=asked");
  const isPolled = async (since) => (await channel()).state === "live" && (await channel()).last_poll !== since;
  await eventually(() => isPolled(null), { what: "the first poll" });
  for (const calls of [2, 3]) {
    const before = (await channel()).last_poll;
    const { code, out, err } = await poll();
    assert.equal(code, 0, err);
    assert.match(out, /^polling list\?name=asked now$/m);
    await eventually(() => isPolled(before), { what: `poll ${calls}` });
    assert.equal(upstream.seen.length, calls);
  }
  const { code, out, err } = await poll();
  assert.equal(code, 1, out);
  const [, free, next] = err.match(
    /list\?name=asked is not polled now: no call of its quota \(3 a day\) is left before (\S+); by itself it is polled at (\S+)/,
  );
  assert.ok(Date.parse(free) > Date.now() + 23 * 3_600_000, free);
  assert.equal(next, (await channel()).next_poll);
  assert.equal((await channel()).state, "live");
  assert.equal(upstream.seen.length, 3);
  await daemon.stop();
});

test("what the API says is left is obeyed without any quota of ours", async () => {
  // Three calls, then nothing for four seconds.
  const upstream = await limitingUpstream(1000, 60_000, (call) => ({
    "x-ratelimit-limit": "3",
    "x-ratelimit-remaining": String(Math.max(0, 3 - call)),
    "x-ratelimit-reset": "4",
  }));
  const daemon = await startDaemon({ upstream });
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "said" });
  await eventually(() => upstream.seen.length >= 4, { what: "a call after the reset", within: 60_000 });
  const pause = upstream.seen[3] - upstream.seen[2];
  assert.ok(pause >= 3990, `asked again after ${pause} ms`);
  // It is here before its answer has reached the daemon.
  await eventually(async () => (await daemon.get("/fetchers/list")).json.quota?.calls === 3, { what: "what the API said" });
  await daemon.stop();
});
