// The numbers at GET /metrics beside what really happened: each is made to differ from all others it could be mistaken for.
import assert from "node:assert/strict";
import { test } from "node:test";
import WebSocket from "ws";
import { curl, eventually, Process, PROGRAMS, run, seconds, sleep, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
// One poll of each channel, and none again.
const once = { poll_interval: "1h" };

test("polls are counted by what became of them, once each", async () => {
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: once } } });
  const ways = { ok: null, upstream_error: 500, rate_limited: 429, unauthorized: 401 };
  const client = await daemon.subscriber();
  let times = 0;
  for (const [outcome, status] of Object.entries(ways)) {
    ++times; // of each another number
    for (let i = 0; i < times; ++i) {
      const name = `${outcome}-${i}`;
      if (status) await upstream.fail(`/list/${name}`, "status", { status });
      else await upstream.setList(name, [{ id: 1 }]);
      await client.subscribe("list", { name });
    }
  }
  await upstream.fail("/list/odd", "html", {});
  await client.subscribe("list", { name: "odd" });
  const polls = async () => {
    const all = Object.entries(await daemon.metrics()).filter(([name]) => name.startsWith("restream_polls_total{"));
    return Object.fromEntries(all.map(([name, value]) => [/outcome="(.*)"/.exec(name)[1], value]));
  };
  const sum = async () => Object.values(await polls()).reduce((a, b) => a + b, 0);
  await eventually(async () => (await sum()) === 11, { what: "11 polls" });
  await sleep(300);
  assert.deepEqual(await polls(), { ok: 1, upstream_error: 2, rate_limited: 3, unauthorized: 4, bad_result: 1 });
  const now = await daemon.metrics();
  assert.equal(now['restream_poll_seconds_count{fetcher="list"}'], 11);
  assert.equal(now['restream_channels{state="live"}'], 1);
  assert.equal(now['restream_channels{state="limited"}'], 3);
  assert.equal(now['restream_channels{state="failing"}'], 7);
  assert.equal(now.restream_store_up, 1);
  assert.equal(now.restream_commit_failures_total, 0);
  assert.equal(now.restream_store_polls_waiting, 0);
  await client.close();
});

test("what is left of a quota is what GET /fetchers says, and the limit less the requests", async () => {
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: { ...once, quota: { calls: 50, per: "hour" } } } } });
  const left = async () => (await daemon.metrics())['restream_quota_left{fetcher="list"}'];
  const limit = async () => (await daemon.metrics())['restream_quota_limit{fetcher="list"}'];
  assert.equal(await left(), 50);
  const client = await daemon.subscriber();
  for (const name of ["q1", "q2", "q3"]) await client.subscribe("list", { name });
  await eventually(async () => (await left()) === 47, { what: "47 left" });
  assert.equal((await daemon.get("/fetchers/list")).json.quota.left, 47);
  assert.equal(await limit(), 50);
  // It has no keys either and asks the same origin, so it shares the budget.
  assert.equal((await daemon.metrics())['restream_quota_left{fetcher="list-complete"}'], 47);
  await client.close();
});

test("a plugin's process that dies is counted under its plugin's name", async () => {
  const daemon = await startDaemon({ upstream, plugins: ["list", "moody"], config: { fetchers: { moody: once } } });
  const restarts = async (plugin) => (await daemon.metrics())[`restream_host_restarts_total{plugin="${plugin}"}`];
  assert.equal(await restarts("moody"), 0);
  await upstream.setList("deadly", [{ id: "a", do: "die" }]);
  const client = await daemon.subscriber();
  await client.subscribe("moody", { name: "deadly" });
  await client.waitFor("status", ({ reason }) => reason === "plugin_crashed");
  assert.equal(await restarts("moody"), 1);
  assert.equal(await restarts("list"), 0);
  assert.equal((await daemon.metrics())['restream_polls_total{fetcher="moody",outcome="plugin_crashed"}'], 1);
  assert.equal((await daemon.get("/fetchers/moody")).json.health.restarts, 1);
  await client.close();
});

test("calls wait for a place in the plugin, and requests for one at their origin", async () => {
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: once }, http: { requests_per_origin: 30 } } });
  const held = 10_000; // less than a server may take to begin its answer
  await upstream.delay("/list/busy", held);
  const client = await daemon.subscriber();
  for (let i = 0; i < 100; ++i) client.send({ action: "subscribe", channel: "list", params: { name: `busy-${i}` } });
  // 80 of a plugin's calls may be of channels that were never polled.
  const seen = async () => {
    const now = await daemon.metrics();
    return [
      now['restream_plugin_calls_waiting{plugin="list"}'],
      now['restream_plugin_calls_waiting{plugin="list-complete"}'],
      now.restream_upstream_requests_active,
      now.restream_upstream_requests_waiting,
    ].join();
  };
  await eventually(async () => (await seen()) === "20,0,30,50", { within: held - 1000, what: "20,0,30,50" }).catch(async (error) => {
    throw new Error(`${error.message}, but ${await seen()}`);
  });
  await upstream.heal();
  await eventually(async () => (await seen()) === "0,0,0,0", { within: seconds(30), what: "an end of waiting" });
  await client.close();
});

test("polls wait for the store, and their diffs are timed", async () => {
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: once, "list-complete": once } } });
  const items = Array.from({ length: 15_000 }, (_, i) => ({ id: `item-${i}`, text: "x".repeat(300) }));
  const names = Array.from({ length: 6 }, (_, i) => `wide-${i}`);
  for (const name of names) await upstream.setList(name, items);
  const client = await daemon.subscriber();
  for (const name of names) client.send({ action: "subscribe", channel: "list", params: { name }, snapshot: false });
  let most = 0;
  const done = async () => {
    const now = await daemon.metrics();
    most = Math.max(most, now.restream_store_polls_waiting);
    return now['restream_events_total{fetcher="list",kind="new"}'] === items.length * names.length;
  };
  await eventually(done, { within: seconds(60), what: "all events", every: 1 });
  const now = await daemon.metrics();
  assert.ok(most >= 1 && most <= names.length, `${most} were seen to wait`);
  assert.equal(now.restream_store_polls_waiting, 0);
  assert.equal(now.restream_diff_seconds_count, names.length);
  assert.ok(now.restream_diff_seconds_sum > 0.005, `${now.restream_diff_seconds_sum} s for ${names.length} large diffs`);
  assert.ok(now.restream_diff_seconds_sum < now.restream_commit_seconds_sum, "a commit is the diff and what follows");
  client.terminate();
});

test("answers are counted by the class of their status, subscribers by how they are served", async () => {
  const daemon = await startDaemon({ upstream, config: { listen: { compression: true }, limits: { connections: 77 } } });
  await upstream.setList("served", [{ id: "a" }]);
  const channel = `${daemon.url}/channels/list?name=served`;
  const { etag } = (await curl(channel)).headers;
  const classes = (now) => [1, 2, 3, 4, 5].map((code) => now[`restream_http_responses_total{code="${code}xx"}`]);
  const before = classes(await daemon.metrics());
  for (let i = 0; i < 3; ++i) assert.equal((await curl(channel, "-H", `If-None-Match: ${etag}`)).status, 304);
  for (let i = 0; i < 4; ++i) assert.equal((await curl(`${daemon.url}/no-such-place`)).status, 404);
  await curl(`${daemon.url}/livez`);
  const plain = [await daemon.subscriber({ options: { perMessageDeflate: false } })];
  const deflated = [await daemon.subscriber(), await daemon.subscriber()];
  for (const one of [...plain, ...deflated]) await one.subscribe("list", { name: "served" });
  const events = [1, 2, 3].map(
    () => new WebSocket(`${daemon.url.replace("http", "ws")}/channels?channel=list%3Fname%3Dserved`, ["cloudevents.json"], { perMessageDeflate: false }),
  );
  const streams = [1, 2, 3, 4].map(() => new Process("curl", ["-sSN", `${daemon.url}/events?channel=list%3Fname%3Dserved`]));
  const kinds = (now) =>
    ["websocket", "websocket-deflate", "cloudevents", "sse"].map((kind) => now[`restream_subscribers{kind="${kind}"}`]).join();
  await eventually(async () => kinds(await daemon.metrics()) === "1,2,3,4", { what: "subscribers of each kind" }).catch(async (error) => {
    throw new Error(`${error.message}, but ${kinds(await daemon.metrics())}`);
  });
  const asked = classes(await daemon.metrics());
  const difference = classes(await daemon.metrics()).map((count, i) => count - before[i]);
  assert.equal(difference[0], 6, "upgrades");
  assert.equal(difference[2], 3, "not modified");
  assert.equal(difference[3], 4, "not found");
  assert.equal(difference[4], 0);
  // Reading the numbers counts, too.
  assert.equal(classes(await daemon.metrics())[1] - asked[1], 2);
  const now = await daemon.metrics();
  assert.equal(now.restream_connections_limit, 77);
  assert.ok(now.restream_connections >= 10 && now.restream_connections <= 14, `${now.restream_connections}`);
  const version = (await run(PROGRAMS.daemon, ["--version"])).out.trim().split(" ").at(-1);
  assert.equal(now[`restream_build_info{version="${version}"}`], 1);
  for (const socket of [...plain, ...deflated, ...events]) socket.terminate();
  for (const stream of streams) stream.signal("SIGTERM");
});

test("a subscriber that takes nothing for 10 seconds is counted when it is sent away", async () => {
  const daemon = await startDaemon({ upstream, config: { limits: { send_queue: "64KiB" }, fetchers: { list: { poll_interval: "100ms" } } } });
  const items = (n) => Array.from({ length: 40 }, (_, i) => ({ id: `item-${i}`, n, text: "z".repeat(60_000) }));
  await upstream.setList("stuck", items(0));
  const [slow, reading] = [await daemon.subscriber(), await daemon.subscriber()];
  for (const client of [slow, reading]) await client.subscribe("list", { name: "stuck" });
  await reading.waitForItems("list", { name: "stuck" }, ["item-39"]);
  assert.equal((await daemon.metrics()).restream_slow_disconnects_total, 0);
  slow.socket.pause();
  let queued = 0;
  for (let n = 1; n <= 4; ++n) {
    await upstream.setList("stuck", items(n));
    await reading.waitFor("updated_item", ({ id, item }) => id === "item-39" && item.n === n, { within: seconds(20) });
    queued = Math.max(queued, (await daemon.metrics()).restream_queued_bytes);
  }
  assert.ok(queued > 0);
  const counted = async () => (await daemon.metrics()).restream_slow_disconnects_total === 1;
  await eventually(counted, { within: seconds(25), every: 200, what: "one slow disconnect" });
  assert.equal((await daemon.metrics())['restream_subscribers{kind="websocket"}'], 1);
  slow.terminate();
  await reading.close();
});
