// What is large reaches a normal client whole, and those who stopped reading are nobody else's trouble.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { eventually, Replica, seconds, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream, config: { fetchers: { "list-complete": { poll_interval: "200ms" } } } });

const queuedMiB = async () => {
  const text = await (await fetch(`${daemon.url}/metrics`)).text();
  return Number(/^restream_queued_bytes ([0-9]+)$/m.exec(text)[1]) / 2 ** 20;
};
const residentMiB = () => Number(/^VmRSS:\s*([0-9]+) kB$/m.exec(readFileSync(`/proc/${daemon.pid}/status`))[1]) / 1024;

test("a first poll of 10,000 items reaches a WebSocket and an event stream whole", async () => {
  const items = Array.from({ length: 10_000 }, (_, i) => ({ id: `item-${i}`, text: "x".repeat(400) }));
  await upstream.setList("large", items);
  const params = { name: "large" };
  const [live, streamed] = [new Replica("list-complete", params), new Replica("list-complete", params)];
  const client = await daemon.subscriber();
  await client.subscribe("list-complete", params);
  const source = new EventSource(`${daemon.url}/channels/list-complete?name=large`);
  const messages = [];
  for (const type of ["subscribed", "snapshot", "new_item"]) {
    source.addEventListener(type, ({ data }) => messages.push(JSON.parse(data)));
  }
  const whole = (replica, from) => replica.follow(from).items.size === items.length;
  const patience = { within: seconds(30), what: "all items" };
  await eventually(() => whole(live, client), patience);
  await eventually(() => whole(streamed, { messages }), patience);
  assert.deepEqual(live.list(), items);
  source.close();
  await client.close();
});

test("a resume over 1,000 large events reaches a normal client whole", async () => {
  const params = { name: "resumed" };
  const items = (n) => Array.from({ length: 100 }, (_, i) => ({ id: `item-${i}`, n, text: "y".repeat(20_000) }));
  await upstream.setList("resumed", items(0));
  const first = await daemon.subscriber();
  await first.subscribe("list-complete", params);
  const last = (n) => first.waitFor(null, ({ id, item }) => id === "item-99" && item?.n === n, { within: seconds(20) });
  await first.waitForItems("list-complete", params, ["item-99"]);
  const replica = new Replica("list-complete", params).follow(first);
  const since = replica.position;
  for (let n = 1; n <= 10; ++n) {
    await upstream.setList("resumed", items(n));
    await last(n);
  }
  await first.close();
  const again = await daemon.subscriber();
  assert.equal((await again.subscribe("list-complete", params, { since })).resumed, true);
  await eventually(() => replica.follow(again).list().every(({ n }) => n === 10), { within: seconds(20), what: "all events" });
  assert.deepEqual(replica.list(), items(10));
  await again.close();
});

test("1 % of the subscribers stalled: the others hear everything in time, and memory stays in bounds", async () => {
  const params = { name: "stalled" };
  const items = (n) => Array.from({ length: 20 }, (_, i) => ({ id: `item-${i}`, n, text: "z".repeat(30_000) }));
  await upstream.setList("stalled", items(0));
  const clients = await Promise.all(Array.from({ length: 200 }, () => daemon.subscriber()));
  for (const client of clients) client.send({ action: "subscribe", channel: "list-complete", params, deliver: "patch" });
  const [watch, whole] = [clients[0], await Promise.all([daemon.subscriber(), daemon.subscriber()])];
  for (const client of whole) await client.subscribe("list-complete", params);
  await watch.waitForItems("list-complete", params, ["item-19"]);
  for (const client of whole) client.socket.pause();
  const before = residentMiB();
  const delays = [];
  const queued = [];
  const rounds = 30;
  const begun = Date.now();
  for (let n = 1; n <= rounds; ++n) {
    await upstream.setList("stalled", items(n));
    const isLast = ({ id, patch }) => id === "item-19" && patch?.some(({ value }) => value === n);
    await watch.waitFor("updated_item", isLast);
    const heard = Date.now();
    await Promise.all(clients.slice(1).map((client) => client.waitFor("updated_item", isLast)));
    delays.push(Date.now() - heard);
    for (const client of clients) client.messages.length = 0;
    queued.push(await queuedMiB());
  }
  // Both share the bytes of the frames, so that memory alone would tell little: each queue holds at most the bound of
  // 1 MiB, the batch that went beyond it, and a piece of the log.
  const most = Math.max(...queued);
  assert.ok(most > 0, "nothing ever waited for those that do not read");
  assert.ok(most < 2 * (1 + 0.7 + 0.25), `${most.toFixed(2)} MiB waited for two that do not read`);
  const grown = residentMiB() - before;
  assert.ok(grown < 60, `${grown} MiB more`);
  delays.sort((a, b) => a - b);
  assert.ok(delays[rounds / 2] < seconds(1), `the median client heard ${delays[rounds / 2]} ms after the first`);
  // They are fed from the log and lose nothing. Only where all this took over 10 s they may have been told to go, and
  // where it took over 20 s hung up on, since they did not even take that.
  for (const client of whole) {
    const long = Date.now() - begun;
    client.socket.resume();
    const replica = new Replica("list-complete", params);
    const arrived = (list) => list.length === 20 && list.every(({ n }) => n === rounds);
    const done = () => arrived(replica.follow(client).list()) || client.close_;
    await eventually(done, { within: seconds(20), what: "an end" });
    const expected = [...(long > 9000 ? [1013] : []), ...(long > 19_000 ? [1006] : [])];
    if (client.close_) assert.ok(expected.includes(client.close_.code), JSON.stringify(client.close_));
    else assert.deepEqual(replica.list(), items(rounds));
  }
  for (const client of clients) client.terminate();
});

test("who is told to go for reading nothing resumes from the position in the reason, without gap or repetition", async () => {
  const params = { name: "dismissed" };
  const items = (n) => Array.from({ length: 20 }, (_, i) => ({ id: `item-${i}`, n, text: "w".repeat(30_000) }));
  await upstream.setList("dismissed", items(0));
  const slow = await daemon.subscriber();
  await slow.subscribe("list-complete", params);
  await slow.waitForItems("list-complete", params, ["item-19"]);
  const dismissed = async () => {
    const text = await (await fetch(`${daemon.url}/metrics`)).text();
    return Number(/^restream_slow_disconnects_total ([0-9]+)$/m.exec(text)[1]);
  };
  const before = await dismissed();
  slow.socket.pause();
  let n = 0;
  const more = async () => {
    if (n < 40) await upstream.setList("dismissed", items(++n));
    return (await dismissed()) > before;
  };
  await eventually(more, { within: seconds(30), every: 300, what: "a dismissal" });
  slow.socket.resume();
  await eventually(() => slow.close_, { within: seconds(20), what: "the close" });
  assert.equal(slow.close_.code, 1013, JSON.stringify(slow.close_));
  const since = /resume from ([0-9a-z]+:[0-9]+)/.exec(slow.close_.reason)?.[1];
  assert.ok(since, slow.close_.reason);
  const replica = new Replica("list-complete", params).follow(slow);
  assert.equal(replica.position, since);
  const again = await daemon.subscriber();
  assert.equal((await again.subscribe("list-complete", params, { since })).resumed, true);
  await eventually(() => replica.follow(again).list().every((item) => item.n === n), { within: seconds(20), what: "the rest" });
  assert.deepEqual(replica.list(), items(n));
  await again.close();
});
