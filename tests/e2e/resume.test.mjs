// Nothing that was heard is lost, nothing is told twice: over kill -9, over restarts, from any position.
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, readPosition, Replica, seconds, sleep, startDaemon, startUpstream, stopwatch } from "./harness.mjs";

const upstream = await startUpstream();

// A list that changes in known steps: step n adds, updates and removes an item and so makes three events (the removal
// one poll later).
function step(n) {
  return [
    { id: "counter", n },
    { id: `item-${n}`, of: n },
    { id: `item-${n - 1}`, of: n - 1 },
  ];
}

test("kill -9 between any two events: each event once and in order, and the end state is the API's", async () => {
  const daemon = await startDaemon({ upstream });
  const params = { name: "killed" };
  const replica = new Replica("list-complete", params);
  await upstream.setList("killed", step(1));
  const first = await daemon.subscriber();
  await first.subscribe("list-complete", params);
  await first.waitForItems("list-complete", params, ["item-1"]);
  replica.follow(first);
  await daemon.kill9();

  for (let n = 2; n <= 9; ++n) {
    await daemon.start();
    const client = await daemon.subscriber();
    const { resumed } = await client.subscribe("list-complete", params, { since: replica.position });
    assert.equal(resumed, true, `round ${n}`);
    await upstream.setList("killed", step(n));
    // Killed as soon as the round's first, second or third event is here, or a little later, in mid-poll.
    const enough = replica.events.length + 1 + (n % 3);
    await eventually(() => replica.follow(client).events.length >= enough, { what: `the events of round ${n}`, every: 1 });
    if (n % 2 === 0) await sleep(40 * n);
    await daemon.kill9();
    replica.follow(client);
  }

  await daemon.start();
  const last = await daemon.subscriber();
  const { resumed } = await last.subscribe("list-complete", params, { since: replica.position });
  assert.equal(resumed, true);
  // Two more polls, so that the last missing item is gone.
  const isLast = (items) => items.length === 3 && items.some(({ n }) => n === 9);
  await eventually(() => isLast(replica.follow(last).list()), { what: "the items of the last round" });
  assert.deepEqual(replica.list().sort((a, b) => (a.id < b.id ? -1 : 1)), step(9).sort((a, b) => (a.id < b.id ? -1 : 1)));
  const counts = replica.events.filter(({ id, type }) => id === "counter" && type === "updated_item");
  // A round may end before its step was polled, so a step may be left out, but none comes twice or late.
  const told = counts.map(({ item }) => item.n);
  assert.deepEqual(told, [...new Set(told)].sort((a, b) => a - b));
  assert.equal(told.at(-1), 9);
  const newOnes = replica.events.filter(({ type }) => type === "new_item").map(({ id }) => id);
  assert.equal(new Set(newOnes).size, newOnes.length, "no item was new twice");
  await daemon.stop();
});

test("a subscriber that resumes from every single position hears exactly the rest", async () => {
  const daemon = await startDaemon({ upstream });
  const params = { name: "every" };
  await upstream.setList("every", [{ id: "a", n: 0 }]);
  const first = await daemon.subscriber();
  await first.subscribe("list-complete", params);
  const { position } = await first.waitFor("snapshot");
  await first.waitForItems("list-complete", params, ["a"]);
  for (let n = 1; n <= 4; ++n) {
    await upstream.setList("every", [{ id: "a", n }, { id: `b-${n}` }]);
    await first.waitFor("new_item", ({ id }) => id === `b-${n}`);
  }
  // No more changes: wait until what is missing has been removed.
  await first.waitFor("removed_item", ({ id }) => id === "b-3");
  await daemon.kill9();
  await daemon.start();
  const isEvent = ({ type }) => /_item$/.test(type);
  const events = first.of("list-complete", params).filter(isEvent);
  const starts = [position, ...events.map((event) => event.position)];
  for (const [after, since] of starts.entries()) {
    const client = await daemon.subscriber();
    const { resumed } = await client.subscribe("list-complete", params, { since });
    assert.equal(resumed, true, since);
    const rest = events.slice(after);
    if (rest.length > 0) await client.waitFor(rest.at(-1).type, (message) => message.position === rest.at(-1).position);
    assert.deepEqual(client.of("list-complete", params).filter(isEvent), rest);
    await client.close();
  }
  await daemon.stop();
});

test("events are not lost over a restart, and what changed meanwhile comes after it", async () => {
  const daemon = await startDaemon({ upstream });
  const params = { name: "restarted" };
  await upstream.setList("restarted", [{ id: "a", n: 0 }, { id: "b" }]);
  const replica = new Replica("list-complete", params);
  const before = await daemon.subscriber();
  await before.subscribe("list-complete", params);
  await before.waitForItems("list-complete", params, ["a", "b"]);
  replica.follow(before);
  await daemon.stop();
  assert.equal((await before.waitForClose()).code, 1001);
  replica.follow(before);

  await upstream.setList("restarted", [{ id: "a", n: 1 }, { id: "c" }]);
  await daemon.start();
  const later = await daemon.subscriber();
  assert.equal((await later.subscribe("list-complete", params, { since: replica.position })).resumed, true);
  await later.waitFor("removed_item", ({ id }) => id === "b");
  replica.follow(later);
  assert.deepEqual(replica.list(), [{ id: "a", n: 1 }, { id: "c" }]);
  await daemon.stop();
});

test("a position too old, of the future, of another log or channel, or garbage gets the snapshot", async () => {
  const daemon = await startDaemon({ upstream, config: { state: { events: 5 } } });
  const params = { name: "old" };
  await upstream.setList("old", [{ id: "a", n: 0 }]);
  await upstream.setList("other", [{ id: "a", n: 0 }]);
  const first = await daemon.subscriber();
  const begin = await first.subscribe("list-complete", params);
  await first.waitForItems("list-complete", params, ["a"]);
  const other = await first.subscribe("list-complete", { name: "other" });
  await first.waitForItems("list-complete", { name: "other" }, ["a"]);
  // Twenty events in each poll, and the log keeps five; but young ones are kept for a while, whatever their number.
  let round = 0;
  const isTooOld = async () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ id: `many-${i}`, round }));
    await upstream.setList("old", many);
    await first.waitFor(null, ({ id, item }) => id === "many-19" && item?.round === round);
    ++round;
    const trying = await daemon.subscriber();
    const { resumed } = await trying.subscribe("list-complete", params, { since: begin.position });
    await trying.close();
    return !resumed;
  };
  await eventually(isTooOld, { within: seconds(30), what: "the first event gone from a log that keeps five" });
  const head = first.of("list-complete", params).findLast((message) => message.position).position;
  const { epoch, offset } = readPosition(head);
  const strange = {
    "too old": begin.position,
    "of the future": `${epoch}:${offset + 1000}`,
    "of another epoch": `${epoch.replace(/./g, (digit) => (digit === "a" ? "b" : "a"))}:${offset}`,
    "of another channel": other.position,
    "garbage": "garbage",
    "empty": "",
    "without an offset": `${epoch}:`,
    "negative": `${epoch}:-1`,
    "huge": `${epoch}:99999999999999999999999999`,
    "long": "9".repeat(10_000),
    "not ASCII": "ß:☃",
  };
  for (const [what, since] of Object.entries(strange)) {
    const client = await daemon.subscriber();
    const subscribed = await client.subscribe("list-complete", params, { since });
    assert.equal(subscribed.resumed, false, what);
    const snapshot = await client.waitFor("snapshot");
    assert.ok(readPosition(snapshot.position).offset >= offset, what);
    assert.equal(snapshot.items.filter(({ id }) => id.startsWith("many-")).length, 20, what);
    await client.close();
  }
  const good = await daemon.subscriber();
  assert.equal((await good.subscribe("list-complete", params, { since: head })).resumed, true);
  await daemon.stop();
});

test("snapshot: false with a position that is no good is told by resumed: false", async () => {
  const daemon = await startDaemon({ upstream });
  await upstream.setList("none", [{ id: "a", n: 0 }]);
  const client = await daemon.subscriber();
  const subscribed = await client.subscribe("list", { name: "none" }, { since: "garbage", snapshot: false });
  assert.equal(subscribed.resumed, false);
  await client.waitFor("new_item");
  assert.equal(client.messages.filter(({ type }) => type === "snapshot").length, 0);
  await daemon.stop();
});

test("after kill -9 the daemon is ready within two seconds, with 100 MB of state as well", async () => {
  const daemon = await startDaemon({ upstream });
  const params = { name: "large" };
  const client = await daemon.subscriber();
  await client.subscribe("list", params);
  for (let n = 0; n < 10; ++n) {
    const items = Array.from({ length: 100 }, (_, i) => ({ id: `item-${n}-${i}`, text: "x".repeat(100_000) }));
    await upstream.setList("large", items);
    await client.waitFor("new_item", ({ id }) => id === items.at(-1).id, { within: seconds(30) });
    client.messages.length = 0;
  }
  const size = statSync(join(daemon.folder, "state/restream.db")).size;
  assert.ok(size > 90e6, `${size} bytes of state`);
  await daemon.kill9();
  const time = stopwatch();
  await daemon.start();
  assert.ok(time() < seconds(2), `${time()} ms`);
  await daemon.stop();
});

test("a second daemon on the same state is refused and names the first", async () => {
  const daemon = await startDaemon({ upstream });
  const { code, text } = await daemon.refuse();
  assert.equal(code, 3);
  assert.match(text, new RegExp(`\\b${daemon.pid}\\b`));
  await daemon.stop();
});
