// How often an API is asked, however many people listen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, Replica, seconds, sleep, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  config: {
    limits: { connections_per_address: 3000 },
    // A longer interval for one of the two, so that a poll too many can be told from a poll in time.
    fetchers: { list: { poll_interval: "3s" } },
  },
});

// How far apart the requests for a list were, in milliseconds, from the request with this number on.
async function gaps(name, from = 0) {
  const times = (await upstream.requests(`/list/${name}`)).slice(from);
  return times.slice(1).map((time, i) => time - times[i]);
}

// A daemon's clock and the upstream's log differ by the time that a request takes. One that was late on a busy machine is
// nearer to the next, but of all those after it none is early.
const LATE_MS = 600;
async function assertSpaced(name, interval) {
  const times = await upstream.requests(`/list/${name}`);
  for (const [last, time] of times.entries())
    for (let first = 0; first < last; ++first) {
      const apart = time - times[first];
      assert.ok(apart >= (last - first) * interval - LATE_MS, `${last - first + 1} requests in only ${apart} ms`);
    }
}

test("1,000 subscribers of one channel cost what one costs, and each hears every event once", async () => {
  await upstream.setList("crowd", [{ id: "a", n: 0 }]);
  const crowd = [];
  for (let batch = 0; batch < 20; ++batch) {
    const some = await Promise.all(Array.from({ length: 50 }, () => daemon.subscriber()));
    await Promise.all(some.map((one) => one.subscribe("list-complete", { name: "crowd" })));
    crowd.push(...some);
  }
  assert.equal(crowd.length, 1000);
  const before = (await upstream.requests("/list/crowd")).length;
  const begin = Date.now();
  for (let n = 1; n <= 3; ++n) {
    await upstream.setList("crowd", [{ id: "a", n }, { id: `new-${n}` }]);
    await Promise.all(crowd.map((one) => one.waitFor("new_item", ({ id }) => id === `new-${n}`, { within: seconds(20) })));
  }
  const took = Date.now() - begin;
  const requests = (await upstream.requests("/list/crowd")).length - before;
  assert.ok(requests <= took / 1000 + 1, `${requests} requests in ${took} ms at an interval of 1 s`);
  await assertSpaced("crowd", 1000);
  for (const one of crowd) {
    const replica = new Replica("list-complete", { name: "crowd" }).follow(one);
    assert.equal(replica.items.get("a").n, 3);
  }
  const { json } = await daemon.get("/channels");
  assert.equal(json.channels.find(({ id }) => id === "list-complete?name=crowd").subscribers, 1000);
  await Promise.all(crowd.map((one) => one.close()));
});

test("two params are two channels with state of their own", async () => {
  await upstream.setList("left", [{ id: "same", side: "left" }]);
  await upstream.setList("right", [{ id: "same", side: "right" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list-complete", { name: "left" });
  await client.subscribe("list-complete", { name: "right" });
  for (const name of ["left", "right"]) {
    await client.waitForItems("list-complete", { name }, ["same"]);
    const replica = new Replica("list-complete", { name }).follow(client);
    assert.equal(replica.items.get("same").side, name);
  }
  await upstream.setList("left", [{ id: "same", side: "left", n: 1 }]);
  const { params } = await client.waitFor("updated_item");
  assert.deepEqual(params, { name: "left" });
  await client.expectNone("updated_item", seconds(1.5));
  const right = new Replica("list-complete", { name: "right" }).follow(client);
  assert.deepEqual(right.list(), [{ id: "same", side: "right" }]);
});

test("params in another order or another spelling are one channel and one poll", async () => {
  await upstream.setList("a b/ü", [{ id: "1" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "a b/ü" });
  await client.waitForItems("list", { name: "a b/ü" }, ["1"]);
  const { status, json } = await daemon.get("/channels/list?name=a%20b%2f%C3%BC");
  assert.equal(status, 200);
  assert.deepEqual(json.params, { name: "a b/ü" });
  const ids = (await daemon.get("/channels")).json.channels.map(({ id }) => id);
  assert.ok(ids.includes("list?name=a%20b%2F%C3%BC"), ids.join());
  const times = await upstream.requests("/list/a%20b%2F%C3%BC");
  assert.ok(times.length <= 1 + (Date.now() - times[0]) / 3000, `${times.length} polls`);
});

test("a subscriber that comes late gets the snapshot and causes no poll", async () => {
  await upstream.setList("late", [{ id: "1" }, { id: "2" }]);
  const first = await daemon.subscriber();
  await first.subscribe("list", { name: "late" });
  await first.waitForItems("list", { name: "late" }, ["1", "2"]);
  const before = (await upstream.requests("/list/late")).length;
  const late = await daemon.subscriber();
  await late.subscribe("list", { name: "late" });
  assert.deepEqual((await late.waitFor("snapshot")).items.map(({ id }) => id), ["1", "2"]);
  const after = await upstream.requests("/list/late");
  assert.ok(after.length === before || after.at(-1) - after[0] >= 3000 - LATE_MS, "it caused a poll");
  await eventually(async () => (await gaps("late")).length > 1, { what: "further polls" });
  await assertSpaced("late", 3000);
});

test("leaving and coming back does not poll sooner", async () => {
  await upstream.setList("hasty", [{ id: "1" }]);
  const client = await daemon.subscriber();
  for (let i = 0; i < 15; ++i) {
    await client.subscribe("list", { name: "hasty" });
    await sleep(150);
    client.send({ action: "unsubscribe", channel: "list", params: { name: "hasty" } });
    await client.waitFor("unsubscribed");
    await sleep(150);
  }
  const times = await upstream.requests("/list/hasty");
  assert.ok(times.length >= 2, "it was polled again");
  await assertSpaced("hasty", 3000);
});

test("unsubscribed means silent, while others go on", async () => {
  await upstream.setList("silence", [{ id: "1", n: 0 }]);
  const [one, other] = [await daemon.subscriber(), await daemon.subscriber()];
  for (const client of [one, other]) {
    await client.subscribe("list-complete", { name: "silence" });
    await client.waitForItems("list-complete", { name: "silence" }, ["1"]);
  }
  one.send({ action: "unsubscribe_all" });
  await one.waitFor("unsubscribed_all");
  await upstream.setList("silence", [{ id: "1", n: 1 }]);
  await other.waitFor("updated_item");
  await one.expectNone("updated_item", 200);
});

test("the interval and what is known outlast a restart", async () => {
  const restarted = await startDaemon({ upstream, config: { fetchers: { list: { poll_interval: "6s" } } } });
  await upstream.setList("kept", [{ id: "1" }]);
  const before = await restarted.subscriber();
  await before.subscribe("list", { name: "kept" });
  await before.waitForItems("list", { name: "kept" }, ["1"]);
  for (let i = 0; i < 2; ++i) {
    await restarted.restart();
    const client = await restarted.subscriber();
    await client.subscribe("list", { name: "kept" });
    assert.deepEqual((await client.waitFor("snapshot")).items, [{ id: "1", item: { id: "1" } }]);
    await client.expectNone("new_item", 300);
  }
  await eventually(async () => (await gaps("kept")).length > 0, { what: "a second poll" });
  await assertSpaced("kept", 6000);
  await restarted.stop();
});

test("Retry-After is obeyed: limited, and not asked again before", async () => {
  await upstream.setList("busy", [{ id: "1" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list-complete", { name: "busy" });
  await client.waitForItems("list-complete", { name: "busy" }, ["1"]);
  await upstream.fail("/list/busy", "status", { status: 429, headers: { "Retry-After": "4" }, times: 1 });
  const limited = await client.waitFor("status", ({ state }) => state === "limited");
  assert.equal(limited.reason, "rate_limited");
  await client.waitFor("status", ({ state, at }) => state === "live" && at > limited.at);
  const { log } = await upstream.stats();
  const asked = log.filter(({ path }) => path === "/list/busy");
  const refused = asked.findIndex(({ status }) => status === 429);
  const pause = Date.parse(asked[refused + 1].time) - Date.parse(asked[refused].time);
  assert.ok(pause >= 4000 - 60, `asked again after ${pause} ms`);
});
