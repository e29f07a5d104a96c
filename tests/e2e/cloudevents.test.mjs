// The subprotocol cloudevents.json: what a WebSocket tells anyway, as CloudEvents, read by the CloudEvents SDK.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CloudEvent } from "cloudevents";
import WebSocket from "ws";
import { eventually, Replica, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  config: { fetchers: { "list-complete": { poll_interval: "100ms" } } },
});
const id = (name) => encodeURIComponent(`list-complete?name=${name}`);

// Keeps the events; what the SDK finds wrong with one is a failure.
function listen(query, protocols = ["cloudevents.json"]) {
  const socket = new WebSocket(`${daemon.url.replace(/^http/, "ws")}/channels?${query}`, protocols);
  const heard = { socket, events: [], faults: [] };
  socket.on("message", (data, isBinary) => {
    try {
      assert.equal(isBinary, false);
      heard.events.push(new CloudEvent(JSON.parse(data)));
    } catch (error) {
      heard.faults.push(`${error}: ${data}`);
    }
  });
  heard.opened = new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  heard.of = (type) => heard.events.filter((event) => event.type === `restream.${type}`);
  return heard;
}

const items = (n) => [{ id: "a", n }, { id: "b", on: true }, ...(n % 2 ? [{ id: `only-${n}` }] : [])];

test("every message is a CloudEvent, and its data the message that everybody gets", async () => {
  await upstream.setList("one", items(0));
  await upstream.setList("two", [{ id: "x" }]);
  const heard = listen(`channel=${id("one")}&channel=${id("two")}`);
  await heard.opened;
  assert.equal(heard.socket.protocol, "cloudevents.json");
  await eventually(() => heard.of("subscribed").length === 2, { what: "both subscribed" });
  const plain = await daemon.subscriber();
  await plain.subscribe("list-complete", { name: "one" });
  await plain.waitForItems("list-complete", { name: "one" }, ["a", "b"]);
  for (let n = 1; n <= 4; ++n) {
    await upstream.setList("one", items(n));
    await plain.waitFor("updated_item", ({ item }) => item.n === n);
  }
  const replica = new Replica("list-complete", { name: "one" });
  let applied = 0;
  const followed = () => {
    for (; applied < heard.events.length; ++applied)
      if (heard.events[applied].data.params?.name === "one") replica.apply(heard.events[applied].data);
    return replica.items.get("a")?.n === 4;
  };
  await eventually(followed, { what: "the last state" });
  const told = heard.events.filter(({ source }) => source.endsWith("name=one"));
  assert.deepEqual(heard.faults, []);
  const updates = told.filter(({ type }) => type === "restream.updated_item");
  assert.ok(updates.length >= 4);
  for (const event of updates) {
    assert.equal(event.source, "/channels/list-complete?name=one");
    assert.equal(event.id, event.data.position);
    assert.equal(event.subject, event.data.id);
    assert.equal(event.time, event.data.time);
    const same = plain.messages.find(({ position, type }) => position === event.id && type === "updated_item");
    if (same) assert.deepEqual(event.data, same);
  }
  assert.ok(!told.some(({ type }) => type === "restream.ready"));
  heard.socket.terminate();
});

test("positions, filters and refusals in the query", async () => {
  await upstream.setList("resumed", items(1));
  const first = listen(`channel=${id("resumed")}`);
  await eventually(() => first.of("snapshot").length + first.of("new_item").length > 0, { what: "a beginning" });
  await eventually(() => [...first.of("new_item"), ...first.of("snapshot").flatMap(({ data }) => data.items)].length >= 3);
  const since = first.events.findLast(({ data }) => data.position).data.position;
  first.socket.terminate();
  await upstream.setList("resumed", items(2));
  const again = listen(`channel=${id("resumed")}&_since=${since}&_where=${encodeURIComponent('{"/n":2}')}&_select=["/n"]`);
  await eventually(() => again.of("new_item").length === 1, { what: "the item that begins to match" });
  assert.equal(again.of("subscribed")[0].data.resumed, true);
  assert.deepEqual(again.of("new_item")[0].data.item, { n: 2 });
  // Requests are understood too, and their answers are CloudEvents.
  again.socket.send('{"action":"subscribe","channel":"no-such"}');
  await eventually(() => again.of("error").length === 1, { what: "an error" });
  again.socket.send('{"action":"unsubscribe_all"}');
  await eventually(() => again.of("unsubscribed_all").length === 1, { what: "the end of all subscriptions" });
  assert.deepEqual([...first.faults, ...again.faults], []);
  again.socket.terminate();

  const partly = listen(`channel=no-such&channel=${id("resumed")}`);
  await eventually(() => partly.of("snapshot").length === 1, { what: "the channel that there is" });
  assert.equal(partly.of("error")[0].data.request.channel, "no-such");
  partly.socket.terminate();
  for (const bad of ["", `channel=${id("a")}&channel=${id("b")}&_since=${since}`, `channel=${id("a")}&_deliver=x`]) {
    const refused = listen(bad);
    await assert.rejects(refused.opened, /400/);
  }
});
