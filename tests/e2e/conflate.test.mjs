// Subscribers that want the newest state of each item alone, or to be told only so often; one poll serves them all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { eventually, SLOWNESS, sleep, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  config: { fetchers: { "list-complete": { poll_interval: "100ms" } } },
});

test("an interval: at most so often, the newest state of each item, on the one poll that serves everybody", async () => {
  const params = { name: "often" };
  const items = (n) => [{ id: "a", n }, { id: "b", n }, { id: "still" }];
  await upstream.setList("often", items(0));
  const every = await daemon.subscriber();
  await every.subscribe("list-complete", params);
  await every.waitForItems("list-complete", params, ["a", "b", "still"]);
  const seldom = await daemon.subscriber();
  await seldom.subscribe("list-complete", params, { interval: "2s" });
  await seldom.waitFor("snapshot");
  const source = new EventSource(`${daemon.url}/channels/list-complete?name=often&_interval=2s`);
  const streamed = [];
  source.addEventListener("updated_item", ({ data }) => streamed.push({ at: Date.now(), ...JSON.parse(data) }));

  const told = [];
  seldom.socket.on("message", (data) => told.push({ at: Date.now(), ...JSON.parse(data) }));
  const start = Date.now();
  const end = start + 7000;
  let n = 0;
  while (Date.now() < end) {
    await upstream.setList("often", items(++n));
    await sleep(150);
  }
  const last = ({ id, item }) => id === "b" && item?.n === n;
  await every.waitFor("updated_item", last);
  await seldom.waitFor("updated_item", last);
  await eventually(() => streamed.some(last), { what: "the last state in the event stream" });
  source.close();
  for (const heard of [told.filter(({ type }) => type === "updated_item"), streamed]) {
    // Deliveries: those that come together are one.
    const times = heard.map(({ at }) => at).filter((at, i, all) => i === 0 || at - all[i - 1] > 500);
    const most = (times.at(-1) - start) / 2000 + 2;
    assert.ok(times.length >= 3 && times.length <= most, `${times.length} deliveries, not ${most} at most`);
    // One that was late for a busy machine is nearer to the next.
    for (const [i, at] of times.entries()) assert.ok(i === 0 || at - times[i - 1] > 1200, `${at - times[i - 1]} ms`);
    assert.equal(heard.length, 2 * times.length, "each item once in each delivery");
    assert.ok(heard.every((message) => message.patch === undefined && message.item !== undefined));
  }
  const polls = (await upstream.stats()).log.filter(({ path }) => path === "/list/often").length;
  const updates = every.of("list-complete", params).filter(({ type }) => type === "updated_item").length;
  assert.ok(updates > 30, `${updates} updates for the one that wants them all`);
  assert.ok(polls < 150, `${polls} polls`);
  await every.close();
  await seldom.close();
});

// Follows a list of which so many states are told while the follower does not read; nothing when that took too long: one
// that does not read for 10 s counts as gone.
async function pausedWhile(name, least, text) {
  const params = { name };
  await upstream.setList(name, [{ id: "a", n: 0, text }, { id: "gone" }]);
  const fast = await daemon.subscriber();
  await fast.subscribe("list-complete", params, { deliver: "patch" });
  await fast.waitForItems("list-complete", params, ["a", "gone"]);
  const slow = await daemon.subscriber();
  await slow.subscribe("list-complete", params, { conflate: true });
  await slow.waitForItems("list-complete", params, ["a", "gone"]);
  slow.socket.pause();
  const start = performance.now();
  const paused = () => performance.now() - start;
  let rounds = 0;
  while (paused() < 8000 && (rounds < least || (rounds < 60 && paused() < 5000))) {
    const n = ++rounds;
    await upstream.setList(name, [{ id: "a", n, text }]);
    await fast.waitFor("updated_item", ({ patch }) => patch.some(({ path, value }) => path === "/n" && value === n));
  }
  const inTime = rounds >= least && paused() < 9000;
  slow.socket.resume();
  await fast.close();
  if (inTime) return { slow, rounds };
  slow.terminate();
  return null;
}

test("conflate: one that stopped reading finds the newest state, not all that was between", async () => {
  // In that time a daemon under a sanitizer makes fewer bytes than the kernel keeps for one that does not read: there the
  // order alone is looked at.
  const text = "x".repeat(SLOWNESS > 1 ? 50_000 : 800_000);
  const least = SLOWNESS > 1 ? 12 : 20; // more than the kernel keeps
  let told = null;
  for (let attempt = 1; told === null && attempt <= 5; ++attempt) told = await pausedWhile(`newest-${attempt}`, least, text);
  assert.ok(told, "the machine is too slow for it");
  const { slow, rounds } = told;
  await slow.waitFor("updated_item", ({ item }) => item.n === rounds);
  await slow.waitFor("removed_item", ({ id }) => id === "gone");
  const heard = slow.messages.filter(({ type }) => type === "updated_item");
  if (SLOWNESS === 1) assert.ok(heard.length < rounds / 2, `${heard.length} of ${rounds} states`);
  assert.ok(heard.every(({ patch }) => patch === undefined));
  const counted = heard.map(({ item }) => item.n);
  assert.deepEqual(counted, [...new Set(counted)].sort((a, b) => a - b));
});

test("patches cannot be conflated, and an interval must be one", async () => {
  const client = await daemon.subscriber();
  for (const more of [{ conflate: true, deliver: "patch" }, { interval: "now and then" }, { interval: "0s" }]) {
    client.send({ action: "subscribe", channel: "list-complete", params: { name: "a" }, ...more });
    assert.equal((await client.waitFor("error")).code, "bad_request");
  }
  await client.close();
});
