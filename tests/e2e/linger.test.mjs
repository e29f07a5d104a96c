// Polls go on for a minute after the last subscriber left, and then stop. This one takes over a minute.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, seconds, sleep, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const LINGER_MS = 60_000;
const INTERVAL_MS = 1_100; // with its jitter

test("polls linger for 60 s after the last subscriber, and pinned channels are polled always", async () => {
  for (const name of ["left", "closed", "pinned"]) await upstream.setList(name, [{ id: "1" }]);
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: { pinned: [{ name: "pinned" }] } } } });
  const leaving = await daemon.subscriber();
  await leaving.subscribe("list", { name: "left" });
  await leaving.waitForItems("list", { name: "left" }, ["1"]);
  const closing = await daemon.subscriber();
  await closing.subscribe("list", { name: "closed" });
  await closing.waitForItems("list", { name: "closed" }, ["1"]);
  leaving.send({ action: "unsubscribe_all" });
  await leaving.waitFor("unsubscribed_all");
  await closing.close();
  const gone = Date.now();

  await sleep(LINGER_MS + INTERVAL_MS + seconds(2));
  const count = async (name) => (await upstream.requests(`/list/${name}`)).length;
  const before = { left: await count("left"), closed: await count("closed"), pinned: await count("pinned") };
  for (const name of ["left", "closed"]) {
    const lastPoll = (await upstream.requests(`/list/${name}`)).at(-1) - gone;
    assert.ok(lastPoll > LINGER_MS - 2 * INTERVAL_MS - seconds(1), `${name} was polled until ${lastPoll} ms after`);
    assert.ok(lastPoll <= LINGER_MS + INTERVAL_MS + seconds(1), `${name} was polled until ${lastPoll} ms after`);
  }
  await sleep(4 * INTERVAL_MS);
  assert.equal(await count("left"), before.left);
  assert.equal(await count("closed"), before.closed);
  assert.ok((await count("pinned")) >= before.pinned + 2, "the pinned channel is polled on");

  const back = await daemon.subscriber();
  await back.subscribe("list", { name: "left" });
  assert.equal((await back.waitFor("snapshot")).items.length, 1);
  await eventually(async () => (await count("left")) > before.left, { what: "a poll for the subscriber who comes back" });
  await daemon.stop();
});
