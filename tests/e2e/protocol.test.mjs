// What a WebSocket client says and hears: every message, every error, every way to begin.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, readPosition, Replica, seconds, startDaemon, startUpstream, Subscriber } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream });
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

let lists = 0;
async function newList(items) {
  const name = `list-${++lists}`;
  await upstream.setList(name, items);
  return { name, params: { name }, set: (changed) => upstream.setList(name, changed) };
}

// A subscriber to a list whose items are known to the daemon.
async function followed(items, { fetcher = "list-complete", ...more } = {}) {
  const list = await newList(items);
  const first = await daemon.subscriber();
  await first.subscribe(fetcher, list.params, more);
  await first.waitForItems(fetcher, list.params, items.map(({ id }) => id));
  await first.waitFor("status", ({ state }) => state === "live");
  first.forget();
  return { list, first };
}

function assertShape(message, ...members) {
  assert.equal(Object.keys(message)[0], "type", "type comes first");
  assert.deepEqual(Object.keys(message).sort(), ["type", ...members].sort());
}

test("a connection begins with ready", async () => {
  const client = await daemon.subscriber();
  assertShape(client.ready, "server", "protocol");
  assert.match(client.ready.server, /^restream \d+\.\d+\.\d+/);
  assert.equal(client.ready.protocol, 1);
  assert.equal(client.messages.length, 1);
});

test("a channel never polled sends an empty snapshot, pending, and its first items as new ones in the API's order", async () => {
  const list = await newList([{ id: "b", n: 1 }, { id: "a", n: 2 }, { id: "c", n: 3 }]);
  await upstream.delay(`/list/${list.name}`, 300);
  const client = await daemon.subscriber();
  await client.subscribe("list", list.params);
  await client.waitFor("status", ({ state }) => state === "live");
  await client.waitFor("new_item", ({ id }) => id === "c");
  const heard = client.of("list", list.params);
  assert.deepEqual(heard.slice(0, 3).map(({ type }) => type), ["subscribed", "snapshot", "status"]);

  const [subscribed, snapshot, pending] = heard;
  assertShape(subscribed, "channel", "params", "position", "resumed");
  assert.equal(subscribed.resumed, false);
  assertShape(snapshot, "channel", "params", "position", "items");
  assert.deepEqual(snapshot.items, []);
  assert.equal(snapshot.position, subscribed.position);
  assertShape(pending, "channel", "params", "state", "reason", "message", "at", "next_poll");
  assert.deepEqual([pending.state, pending.reason], ["pending", null]);
  assert.match(pending.at, TIME);

  const items = heard.filter(({ type }) => type === "new_item");
  assert.deepEqual(items.map(({ id }) => id), ["b", "a", "c"]);
  for (const message of items) {
    assertShape(message, "channel", "params", "position", "time", "id", "item");
    assert.match(message.time, TIME);
  }
  assert.deepEqual(items[0].item, { id: "b", n: 1 });
  assert.deepEqual(items.map(({ position }) => readPosition(position).offset), [1, 2, 3]);
  assert.equal(heard.filter(({ type, state }) => type === "status" && state === "live").length, 1);
});

test("that holds however quick the API is", async () => {
  for (let i = 0; i < 40; ++i) {
    const list = await newList([{ id: "a" }]);
    const client = await daemon.subscriber();
    await client.subscribe("list", list.params);
    await client.waitForItems("list", list.params, ["a"]);
    const types = client.of("list", list.params).map(({ type, items }) => (items ? `${type} of ${items.length}` : type));
    assert.deepEqual(types.slice(0, 2), ["subscribed", "snapshot of 0"], `channel ${i}`);
    await client.close();
  }
});

test("a later subscriber gets the snapshot in the API's order, and no status while all is well", async () => {
  const items = [{ id: "z", n: 1 }, { id: "y", n: 2 }];
  const { list, first } = await followed(items);
  const late = await daemon.subscriber();
  const subscribed = await late.subscribe("list-complete", list.params);
  const snapshot = await late.waitFor("snapshot");
  assert.deepEqual(snapshot.items, items.map((item) => ({ id: item.id, item })));
  assert.equal(snapshot.position, first.of("list-complete", list.params).findLast((m) => m.position).position);
  assert.equal(subscribed.position, snapshot.position);
  await late.expectNone("status", 200);
  await late.expectNone("new_item", 0);
});

test("updated_item carries the item and an RFC 6902 patch, removed_item only the id", async () => {
  const { list, first } = await followed([
    { id: "a", title: "old", deep: { list: [1, 2, 3], "a/b~c": true } },
    { id: "b", title: "stays" },
  ]);
  const changed = { id: "a", title: "new", deep: { list: [1, 3], added: { x: null } } };
  await list.set([changed]);
  const update = await first.waitFor("updated_item");
  assertShape(update, "channel", "params", "position", "time", "id", "item", "patch");
  assert.deepEqual(update.item, changed);
  assert.ok(Array.isArray(update.patch) && update.patch.length > 0);
  const removal = await first.waitFor("removed_item");
  assertShape(removal, "channel", "params", "position", "time", "id");
  assert.equal(removal.id, "b");
  const replica = new Replica("list-complete", list.params).follow(first);
  assert.deepEqual(replica.list(), [changed]);
});

test("an item that is missing from a list that is not complete is not removed, and not new when it comes back", async () => {
  const { list, first } = await followed([{ id: "a", n: 1 }, { id: "b", n: 1 }], { fetcher: "list" });
  await list.set([{ id: "a", n: 2 }]);
  await first.waitFor("updated_item", ({ id }) => id === "a");
  const late = await daemon.subscriber();
  await late.subscribe("list", list.params);
  assert.deepEqual((await late.waitFor("snapshot")).items.map(({ id }) => id), ["a"]);
  await list.set([{ id: "a", n: 3 }, { id: "b", n: 1 }]);
  await first.waitFor("updated_item", ({ item }) => item.n === 3);
  await first.expectNone("removed_item", 100);
  await first.expectNone("new_item", 0);
});

test("deliver says what updated_item holds: item and patch, item alone, patch alone", async () => {
  const { list } = await followed([{ id: "a", n: 1, text: "same" }]);
  const clients = {};
  for (const deliver of ["both", "item", "patch"]) {
    clients[deliver] = await daemon.subscriber();
    await clients[deliver].subscribe("list-complete", list.params, { deliver });
    await clients[deliver].waitFor("snapshot");
  }
  await list.set([{ id: "a", n: 2, text: "same" }]);
  const common = ["channel", "params", "position", "time", "id"];
  const update = {};
  for (const [deliver, client] of Object.entries(clients)) update[deliver] = await client.waitFor("updated_item");
  assertShape(update.both, ...common, "item", "patch");
  assertShape(update.item, ...common, "item");
  assertShape(update.patch, ...common, "patch");
  for (const client of Object.values(clients)) {
    assert.deepEqual(new Replica("list-complete", list.params).follow(client).list(), [{ id: "a", n: 2, text: "same" }]);
  }
});

test("since resumes after that event, in history and then live, without a snapshot", async () => {
  const { list, first } = await followed([{ id: "a", n: 0 }]);
  const positions = [];
  for (let n = 1; n <= 3; ++n) {
    await list.set([{ id: "a", n }]);
    positions.push((await first.waitFor("updated_item", ({ item }) => item.n === n)).position);
  }
  const again = await daemon.subscriber();
  const subscribed = await again.subscribe("list-complete", list.params, { since: positions[0] });
  assert.equal(subscribed.resumed, true);
  await list.set([{ id: "a", n: 4 }]);
  await again.waitFor("updated_item", ({ item }) => item.n === 4);
  const heard = again.of("list-complete", list.params);
  assert.deepEqual(heard.map(({ type }) => type), ["subscribed", "updated_item", "updated_item", "updated_item"]);
  assert.deepEqual(heard.slice(1).map(({ item }) => item.n), [2, 3, 4]);
  assert.deepEqual(heard.slice(1, 3).map(({ position }) => position), positions.slice(1));

  const upToDate = await daemon.subscriber();
  const { resumed } = await upToDate.subscribe("list-complete", list.params, { since: heard.at(-1).position });
  assert.equal(resumed, true);
  await upToDate.expectNone("updated_item", 200);
  await upToDate.expectNone("snapshot", 0);
});

test("snapshot: false begins with what comes next", async () => {
  const { list } = await followed([{ id: "a", n: 0 }]);
  const client = await daemon.subscriber();
  await client.subscribe("list-complete", list.params, { snapshot: false });
  await list.set([{ id: "a", n: 1 }]);
  await client.waitFor("updated_item");
  assert.deepEqual(client.of("list-complete", list.params).map(({ type }) => type), ["subscribed", "updated_item"]);
});

test("subscribing twice is acknowledged twice and delivered once, and resends nothing", async () => {
  const { list, first } = await followed([{ id: "a", n: 0 }]);
  await first.subscribe("list-complete", list.params, { deliver: "patch" });
  await list.set([{ id: "a", n: 1 }]);
  const update = await first.waitFor("updated_item");
  assert.ok(update.item && update.patch, "the second subscribe changes nothing");
  await first.expectNone("updated_item", seconds(1.3));
  const types = first.of("list-complete", list.params).map(({ type }) => type);
  assert.equal(types.filter((type) => type === "subscribed").length, 2);
  assert.equal(types.filter((type) => type === "snapshot").length, 1);
});

test("unsubscribe ends one channel, unsubscribe_all the rest, told one by one and then by number", async () => {
  const many = [];
  for (let i = 0; i < 4; ++i) many.push(await newList([{ id: "a", n: 0 }]));
  const client = await daemon.subscriber();
  for (const list of many) {
    await client.subscribe("list", list.params);
    await client.waitForItems("list", list.params, ["a"]);
  }
  client.send({ action: "unsubscribe", channel: "list", params: many[0].params });
  const one = await client.waitFor("unsubscribed");
  assertShape(one, "channel", "params");
  assert.deepEqual([one.channel, one.params], ["list", many[0].params]);
  for (const list of many) await list.set([{ id: "a", n: 1 }]);
  for (const list of many.slice(1)) await client.waitFor("updated_item", ({ params }) => params.name === list.name);
  await client.expectNone("updated_item", seconds(1.3));

  client.send({ action: "unsubscribe_all" });
  const all = await client.waitFor("unsubscribed_all");
  assertShape(all, "count");
  assert.equal(all.count, 3);
  const told = client.messages.filter(({ type }) => type === "unsubscribed").slice(1);
  assert.deepEqual(told.map(({ params }) => params.name).sort(), many.slice(1).map(({ name }) => name).sort());
  assert.equal(client.messages.at(-1).type, "unsubscribed_all");
  for (const list of many) await list.set([{ id: "a", n: 2 }]);
  await client.expectNone("updated_item", seconds(1.5));

  client.send({ action: "unsubscribe-all" });
  assert.equal((await client.waitFor("unsubscribed_all")).count, 0);
});

test("params may be numbers and booleans; they become strings and mean the same channel", async () => {
  await upstream.setList("42", [{ id: "a" }]);
  await upstream.setList("true", [{ id: "a" }]);
  const client = await daemon.subscriber();
  assert.deepEqual((await client.subscribe("list", { name: 42 })).params, { name: "42" });
  assert.deepEqual((await client.subscribe("list", { name: "42" })).params, { name: "42" });
  assert.deepEqual((await client.subscribe("list", { name: true })).params, { name: "true" });
  client.send({ action: "unsubscribe_all" });
  assert.equal((await client.waitFor("unsubscribed_all")).count, 2);
});

test("ids are strings, the item's own bytes keep their numbers", async () => {
  const item = { id: 4711, big: 18446744073709551615n, text: "ß \u2028 “quotes” 🎈", nul: "\u0000" };
  const body = JSON.stringify({ items: [item] }, (key, value) => (typeof value === "bigint" ? `BIG${value}` : value));
  const list = await newList([]);
  await upstream.set(`/list/${list.name}`, { body: body.replace(/"BIG(\d+)"/, "$1") });
  const client = await daemon.subscriber();
  let raw = "";
  client.socket.on("message", (data) => (raw += data));
  await client.subscribe("list", list.params);
  await client.waitForItems("list", list.params, ["4711"]);
  const [[id, told]] = new Replica("list", list.params).follow(client).items;
  assert.equal(id, "4711");
  assert.deepEqual([told.id, told.text, told.nul], [4711, item.text, item.nul]);
  assert.match(raw, /"big":18446744073709551615[,}]/);
});

test("status tells of trouble once, with the reason and the next poll, and of its end", async () => {
  const { list, first } = await followed([{ id: "a", n: 0 }]);
  await upstream.fail(`/list/${list.name}`, "status", { status: 500 });
  const failing = await first.waitFor("status", ({ state }) => state === "failing");
  assertShape(failing, "channel", "params", "state", "reason", "message", "at", "next_poll");
  assert.equal(failing.reason, "upstream_error");
  assert.match(failing.message, /500/);
  assert.match(failing.at, TIME);
  assert.match(failing.next_poll, TIME);
  const late = await daemon.subscriber();
  await late.subscribe("list-complete", list.params);
  await late.waitFor("status", ({ state }) => state === "failing");
  assert.deepEqual(late.of("list-complete", list.params).map(({ type }) => type), ["subscribed", "snapshot", "status"]);
  const polls = (await upstream.requests(`/list/${list.name}`)).length;
  await eventually(async () => (await upstream.requests(`/list/${list.name}`)).length > polls, { what: "another try" });
  await first.expectNone("status", seconds(1));
  await upstream.heal();
  const live = await first.waitFor("status", ({ state }) => state === "live", { within: seconds(20) });
  assert.equal(live.reason, null);
  await first.expectNone("new_item", 100);
});

const REFUSED = [
  ["this is no JSON", "bad_request", /JSON/i],
  ["[]", "bad_request", /object/],
  [{}, "bad_request", /action/],
  [{ action: 5 }, "bad_request", /action/],
  [{ action: "dance" }, "unknown_action", /dance/],
  [{ action: "subscribe" }, "bad_request", /channel/],
  [{ action: "subscribe", channel: 5 }, "bad_request", /channel/],
  [{ action: "subscribe", channel: "list", params: { name: "a" }, since: 5 }, "bad_request", /since/],
  [{ action: "subscribe", channel: "list", params: { name: "a" }, snapshot: "yes" }, "bad_request", /snapshot/],
  [{ action: "subscribe", channel: "list", params: { name: "a" }, deliver: "all" }, "bad_request", /deliver/],
  [{ action: "subscribe", channel: "nothing-like-it" }, "unknown_channel", /nothing-like-it/],
  [{ action: "unsubscribe", channel: "nothing-like-it" }, "unknown_channel", /nothing-like-it/],
  [{ action: "subscribe", channel: "list" }, "invalid_params", /name/],
  [{ action: "subscribe", channel: "list", params: { name: {} } }, "invalid_params", /name/],
  [{ action: "subscribe", channel: "list", params: { name: null } }, "invalid_params", /name/],
  [{ action: "subscribe", channel: "list", params: { name: "a", other: "b" } }, "invalid_params", /other/],
  [{ action: "subscribe", channel: "list", params: { name: "a\r\nHost: b" } }, "invalid_params", /name/],
  [{ action: "unsubscribe", channel: "list", params: { name: "never" } }, "not_subscribed", /subscribed/],
];

for (const [request, code, words] of REFUSED) {
  test(`${JSON.stringify(request)} is answered with ${code}, and the connection stays`, async () => {
    const client = await daemon.subscriber();
    client.send(request);
    const error = await client.waitFor("error");
    assertShape(error, "code", "message", "request");
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.deepEqual(error.request, request === "[]" ? [] : request);
    client.send({ action: "unsubscribe_all" });
    await client.waitFor("unsubscribed_all");
    await client.close();
  });
}

test("params of a wrong type altogether are refused", async () => {
  const client = await daemon.subscriber();
  client.send({ action: "subscribe", channel: "list", params: ["name"] });
  const { code, message } = await client.waitFor("error");
  assert.match(code, /^(bad_request|invalid_params)$/);
  assert.match(message, /params/);
});

test("the tenth bad request in a row closes with 1008; a good one in between starts the count anew", async () => {
  const client = await daemon.subscriber();
  const bad = async (count) => {
    for (let i = 0; i < count; ++i) {
      client.send(i % 2 === 0 ? "nonsense" : { action: "nonsense" });
      await client.waitFor("error");
    }
  };
  await bad(9);
  client.send({ action: "unsubscribe_all" });
  await client.waitFor("unsubscribed_all");
  await bad(9);
  client.send("nonsense");
  assert.equal((await client.waitForClose()).code, 1008);
});

test("limits on subscriptions and channels are told as errors", async () => {
  const limited = await startDaemon({
    upstream,
    config: { limits: { subscriptions_per_connection: 3, channels: 4 } },
  });
  const many = [];
  for (let i = 0; i < 5; ++i) many.push(await newList([{ id: "a" }]));
  const one = await limited.subscriber();
  for (let i = 0; i < 3; ++i) await one.subscribe("list", many[i].params);
  one.send({ action: "subscribe", channel: "list", params: many[3].params });
  assert.equal((await one.waitFor("error")).code, "too_many_subscriptions");
  await one.subscribe("list", many[0].params);

  const other = await limited.subscriber();
  await other.subscribe("list", many[3].params);
  other.send({ action: "subscribe", channel: "list", params: many[4].params });
  assert.equal((await other.waitFor("error")).code, "too_many_channels");
  await limited.stop();
});

test("a shutdown closes with 1001 and ends with code 0", async () => {
  const short = await startDaemon({ upstream });
  const clients = [];
  for (let i = 0; i < 5; ++i) clients.push(await short.subscriber());
  await short.stop();
  for (const client of clients) assert.equal((await client.waitForClose()).code, 1001);
});

test("a fetcher that misses its key says so by status and names the key, not a value", async () => {
  const keyless = await startDaemon({ upstream, plugins: ["nyt-top"] });
  const client = await keyless.subscriber();
  await client.subscribe("nyt-top", { section: "world" });
  const { state, reason, message } = await client.waitFor("status", (status) => status.state !== "pending");
  assert.deepEqual([state, reason], ["needs_key", "missing_key"]);
  assert.match(message, /api-key/);
  await keyless.stop();
});

test("the upgrade works at /channels only", async () => {
  const client = new Subscriber(daemon.url, { path: "/elsewhere" });
  await assert.rejects(client.opened, /Unexpected server response: (400|404|426)/);
});
