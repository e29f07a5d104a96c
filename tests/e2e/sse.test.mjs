// Event streams, read by the real curl and by an EventSource.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { curl, eventually, freePort, Process, Replica, seconds, sleep, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream, config: { listen: { port: await freePort(), origins: ["https://friend.example"] } } });
const EVENTS_ACCEPT = ["-H", "Accept: text/event-stream"];
const TYPES = ["subscribed", "snapshot", "new_item", "updated_item", "removed_item", "status"];

// One stream by curl; `events` are those so far as {event, id, data}.
function eventStream(path, ...words) {
  const stream = new Process("curl", ["-sS", "-N", ...EVENTS_ACCEPT, ...words, `${daemon.url}${path}`]);
  const events = () =>
    stream
      .output()
      .split("\n\n")
      .slice(0, -1)
      .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2))))
      .filter(({ data }) => data !== undefined);
  const waitFor = (type, count = 1) =>
    eventually(() => events().filter(({ event }) => event === type).length >= count, {
      what: `${count} "${type}" of ${path}`,
    }).catch((error) => {
      throw new Error(`${error.message}\n${stream.output()}\n${stream.log()}\n${daemon.log().slice(-2000)}`);
    });
  return { stream, events, waitFor, stop: () => stream.signal("SIGTERM") };
}

// An EventSource whose messages a Replica can follow.
function eventSource(path) {
  const source = new EventSource(`${daemon.url}${path}`);
  const messages = [];
  const opened = { count: 0 };
  source.addEventListener("open", () => (opened.count += 1));
  for (const type of TYPES) {
    source.addEventListener(type, (event) => messages.push({ ...JSON.parse(event.data), lastEventId: event.lastEventId }));
  }
  return { source, messages, opened, close: () => source.close() };
}

test("curl reads what a WebSocket gets, with positions as ids, and resumes by Last-Event-ID or _since", async () => {
  await upstream.setList("sse", [{ id: "a", n: 0 }]);
  const socket = await daemon.subscriber();
  await socket.subscribe("list-complete", { name: "sse" });
  await socket.waitForItems("list-complete", { name: "sse" }, ["a"]);
  socket.forget();

  const path = "/channels/list-complete?name=sse";
  const first = eventStream(path);
  await first.waitFor("snapshot");
  await upstream.setList("sse", [{ id: "a", n: 1 }]);
  await first.waitFor("updated_item");
  const heard = first.events();
  assert.ok(!first.stream.output().includes("\r"));
  assert.match(first.stream.output(), /^retry: [0-9]+$/m);
  assert.deepEqual(heard.map(({ event }) => event), ["subscribed", "snapshot", "updated_item"]);
  for (const { event, id, data } of heard) {
    const message = JSON.parse(data);
    assert.equal(message.type, event);
    assert.equal(id, message.position);
  }
  const update = await socket.waitFor("updated_item");
  assert.deepEqual(JSON.parse(heard[2].data), update);
  first.stop();

  const since = heard[1].id;
  for (const resumed of [eventStream(path, "-H", `Last-Event-ID: ${since}`), eventStream(`${path}&_since=${since}`)]) {
    await resumed.waitFor("updated_item");
    const again = resumed.events();
    assert.deepEqual(again.map(({ event }) => event), ["subscribed", "updated_item"]);
    assert.equal(JSON.parse(again[0].data).resumed, true);
    assert.deepEqual(JSON.parse(again[1].data), update);
    resumed.stop();
  }
  await socket.close();
});

test("a status has no id", async () => {
  await upstream.fail("/list/broken", "status", { status: 500 });
  const events = eventStream("/channels/list?name=broken");
  await events.waitFor("status");
  assert.ok(events.events().filter(({ event }) => event === "status").every(({ id }) => id === undefined));
  events.stop();
  await upstream.heal();
});

test("an EventSource that reconnects by itself, also after a SIGKILL of the daemon, misses nothing and hears nothing twice", async () => {
  await upstream.setList("es", [{ id: "a", n: 0 }]);
  const client = eventSource("/channels/list-complete?name=es");
  const replica = new Replica("list-complete", { name: "es" });
  await eventually(() => client.messages.some(({ type }) => type === "snapshot"), { what: "a snapshot" });
  for (let round = 1; round <= 3; round += 1) {
    await upstream.setList("es", [{ id: "a", n: round }]);
    await eventually(() => replica.follow(client).items.get("a")?.n === round, { what: `round ${round}` });
    await daemon.kill9();
    await daemon.start();
    await eventually(() => client.opened.count > round, { within: seconds(20), what: "a new connection" });
  }
  await upstream.setList("es", [{ id: "a", n: 9 }]);
  await eventually(() => replica.follow(client).items.get("a")?.n === 9, { what: "the last change" });
  assert.equal(client.messages.filter(({ type }) => type === "snapshot").length, 1, "resumed, not begun anew");
  for (const { type, position, lastEventId } of client.messages) if (type !== "status") assert.equal(lastEventId, position);
  client.close();
});

test("/events streams several channels, and one id resumes them all", async () => {
  await upstream.setList("one", [{ id: "a", n: 0 }]);
  await upstream.setList("two", [{ id: "b", n: 0 }]);
  const channels = ["list-complete?name=one", "list-complete?name=two"].map((id) => `channel=${encodeURIComponent(id)}`);
  const path = `/events?${channels.join("&")}`;
  const client = eventSource(path);
  const [one, two] = ["one", "two"].map((name) => new Replica("list-complete", { name }));
  await eventually(
    () => one.follow(client).items.has("a") && two.follow(client).items.has("b"),
    { what: "both channels' items" },
  );
  const last = client.messages.filter(({ position }) => position).at(-1).lastEventId;
  assert.match(last, /^[0-9a-f]{16}:[0-9]+,[0-9a-f]{16}:[0-9]+$/);
  client.close();
  await sleep(100);

  await upstream.setList("two", [{ id: "b", n: 1 }]);
  const socket = await daemon.subscriber();
  await socket.subscribe("list-complete", { name: "two" });
  await socket.waitFor(null, ({ item, items }) => (item ?? items?.[0]?.item)?.n === 1);
  await socket.close();
  const again = eventStream(path, "-H", `Last-Event-ID: ${last}`);
  await again.waitFor("updated_item");
  const heard = again.events().map(({ data }) => JSON.parse(data));
  assert.deepEqual(heard.filter(({ type }) => type === "subscribed").map(({ resumed }) => resumed), [true, true]);
  assert.deepEqual(heard.filter(({ type }) => type === "snapshot"), []);
  again.stop();
});

test("a stream that cannot be is refused over HTTP, with the reason", async () => {
  const refused = [
    [404, "unknown_channel", "/channels/no-such?name=a"],
    [400, "invalid_params", "/channels/list"],
    [400, "invalid_params", "/channels/list?name=a&_other=1"],
    [400, "bad_request", "/events"],
    [404, "unknown_channel", "/events?channel=no-such"],
  ];
  for (const [status, code, path] of refused) {
    const answer = await curl(...EVENTS_ACCEPT, `${daemon.url}${path}`);
    assert.equal(answer.status, status, path);
    assert.equal(answer.json().code, code, path);
  }
  for (const origin of ["https://foreign.example", "null"]) {
    const answer = await curl(...EVENTS_ACCEPT, "-H", `Origin: ${origin}`, `${daemon.url}/channels/list?name=sse`);
    assert.equal(answer.status, 403, origin);
  }
});

test("pages of allowed origins may read streams, and are told what they may send", async () => {
  const friend = eventStream("/channels/list?name=sse", "-i", "-H", "Origin: https://friend.example");
  await friend.waitFor("subscribed");
  assert.match(friend.stream.output(), /^Access-Control-Allow-Origin: https:\/\/friend\.example\r$/m);
  friend.stop();
  const preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: GET"];
  const asked = await curl(...preflight, "-H", "Origin: https://friend.example", `${daemon.url}/channels/list?name=sse`);
  assert.equal(asked.status, 204);
  assert.match(asked.headers["access-control-allow-headers"], /Authorization.*Last-Event-ID/);
  const foreign = await curl(...preflight, "-H", "Origin: https://foreign.example", `${daemon.url}/channels/list?name=sse`);
  assert.equal(foreign.status, 403);
});

test("SIGTERM ends a stream cleanly, and tells its reader to wait", async () => {
  const other = await startDaemon({ upstream });
  const stream = new Process("curl", ["-sS", "-N", ...EVENTS_ACCEPT, `${other.url}/channels/list?name=sse`]);
  await stream.waitForLine(/^event: subscribed$/m);
  const stopped = other.stop();
  const { code } = await stream.waitForEnd();
  assert.equal(code, 0, stream.log());
  assert.match(stream.output(), /\nretry: 9000\n\n$/);
  await stopped;
});

test("an item with line ends in its text arrives whole", async () => {
  await upstream.setList("lines", [{ id: "a", text: "one\ntwo\r\nthree" }]);
  const client = eventSource("/channels/list-complete?name=lines");
  const item = () =>
    client.messages.flatMap(({ item: one, items }) => [one, ...(items ?? []).map((entry) => entry.item)]).find(Boolean);
  await eventually(item, { what: "the item" });
  assert.equal(item().text, "one\ntwo\r\nthree");
  client.close();
});
