// Filters: whoever has one is told what they would be told of a channel of just those items, cut down to that.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { EventSource } from "eventsource";
import { curl, eventually, Replica, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  config: { fetchers: { "list-complete": { poll_interval: "100ms" } } },
});
const fetcher = "list-complete";
const byId = (a, b) => (a.id < b.id ? -1 : 1);

// What a follower with `select: ["/id", "/title"], where: {"/on": true}` is to have.
const filter = { select: ["/title", "/id"], where: { "/on": true } };
const shown = (items) => items.filter(({ on }) => on === true).map(({ id, title }) => ({ id, title })).sort(byId);

// Each step changes things that are seen, and more that are not.
const step = (n) => [
  { id: "always", on: true, title: `title ${n}`, views: n },
  { id: "blinks", on: n % 2 === 0, title: "blinks", views: -n },
  { id: "never", on: "true", title: `${n}` },
  { id: "noise", on: true, title: "noise", views: n * 1000 },
  ...(n % 3 === 0 ? [{ id: "visits", on: true, title: "visits" }] : []),
];

test("followers with a filter have what it shows, over kills, resumes and snapshots", async () => {
  const params = { name: "kills" };
  await upstream.setList("kills", step(1));
  const replicas = ["both", "patch"].map(() => new Replica(fetcher, params, { holes: true }));
  for (let n = 1; n <= 7; ++n) {
    const clients = [];
    for (const [i, deliver] of ["both", "patch"].entries()) {
      const client = await daemon.subscriber();
      const since = replicas[i].position ? { since: replicas[i].position } : {};
      const { resumed } = await client.subscribe(fetcher, params, { ...filter, ...since, deliver });
      assert.equal(resumed, n > 1);
      clients.push(client);
    }
    await upstream.setList("kills", step(n));
    const whole = await daemon.subscriber();
    const everything = new Replica(fetcher, params);
    await whole.subscribe(fetcher, params);
    const wanted = JSON.stringify(step(n).sort(byId));
    await eventually(() => JSON.stringify(everything.follow(whole).list().sort(byId)) === wanted, { what: `step ${n}` });
    await eventually(() => {
      for (const [i, client] of clients.entries()) replicas[i].follow(client);
      return replicas.every((one) => JSON.stringify(one.list().map(({ id, title }) => ({ id, title })).sort(byId)) ===
        JSON.stringify(shown(step(n))));
    }, { what: `what is shown of step ${n}` });
    for (const one of replicas) assert.deepEqual(one.list().sort(byId), shown(step(n)));
    await daemon.kill9();
    await daemon.start();
  }
  const told = replicas[0].events.map(({ type, id }) => `${type} ${id}`);
  assert.ok(told.includes("new_item blinks") && told.includes("removed_item blinks"), "began and ceased to match");
  assert.ok(told.includes("new_item visits") && told.includes("removed_item visits"), "came and went");
  assert.ok(told.includes("updated_item always"));
  assert.ok(!told.some((one) => one.endsWith("never") || one === "updated_item noise"), "what is not seen is not told");
  const patches = replicas[0].events.filter(({ type }) => type === "updated_item").flatMap(({ patch }) => patch);
  assert.ok(patches.every(({ path }) => path === "/title"), JSON.stringify(patches));
  const late = await daemon.subscriber();
  await late.subscribe(fetcher, params, filter);
  const { items } = await late.waitFor("snapshot");
  assert.deepEqual(items.map(({ item }) => item).sort(byId), shown(step(7)));
});

test("the same on an event stream, with curl and with an EventSource that reconnects", async () => {
  const params = { name: "streamed" };
  await upstream.setList("streamed", step(1));
  const query = new URLSearchParams({
    ...params,
    _select: JSON.stringify(filter.select),
    _where: JSON.stringify(filter.where),
  });
  const url = `${daemon.url}/channels/${fetcher}?${query}`;
  const read = spawn("curl", ["-sN", "-G", "-H", "Accept: text/event-stream", `${daemon.url}/channels/${fetcher}`,
    "-d", "name=streamed", "--data-urlencode", `_select=${query.get("_select")}`,
    "--data-urlencode", `_where=${query.get("_where")}`]);
  let bytes = "";
  read.stdout.on("data", (data) => (bytes += data));
  const source = new EventSource(url);
  const replica = new Replica(fetcher, params, { holes: true });
  for (const type of ["subscribed", "snapshot", "new_item", "updated_item", "removed_item"])
    source.addEventListener(type, ({ data }) => replica.apply(JSON.parse(data)));
  for (let n = 2; n <= 4; ++n) {
    await upstream.setList("streamed", step(n));
    await eventually(() => replica.items.get("always")?.title === `title ${n}`, { what: `step ${n}` });
    await eventually(() => JSON.stringify(replica.list().sort(byId)) === JSON.stringify(shown(step(n))), {
      what: `what is shown of step ${n}`,
    });
  }
  source.close();
  read.kill();
  await once(read, "close");
  assert.match(bytes, /event: updated_item\n/);
  assert.ok(!bytes.includes("views") && !bytes.includes('"never"'), bytes);
});

test("what is no filter is refused, with a word on what is wrong", async () => {
  const client = await daemon.subscriber();
  for (const [bad, words] of [
    [{ select: "/title" }, "array of JSON pointers"],
    [{ select: ["title"] }, "'title' is not a JSON pointer"],
    [{ select: ["/a~2"] }, "'/a~2' is not a JSON pointer"],
    [{ select: [{}] }, "array of JSON pointers"],
    [{ select: Array.from({ length: 33 }, (_, i) => `/${i}`) }, "32 pointers at most"],
    [{ where: ["/on"] }, "object of JSON pointers"],
    [{ where: { on: true } }, "'on' is not a JSON pointer"],
    [{ where: { "/on": [1] } }, "must be a string, a number, a boolean or null"],
    [{ where: { "/on": "x".repeat(300) } }, "longer than 256 bytes"],
    [{ where: null }, "object of JSON pointers"],
  ]) {
    client.send({ action: "subscribe", channel: fetcher, params: { name: "bad" }, ...bad });
    const error = await client.waitFor("error");
    assert.equal(error.code, "bad_request");
    assert.ok(error.message.includes(words), error.message);
    client.send({ action: "unsubscribe_all" }); // so that it is never ten in a row
    await client.waitFor("unsubscribed_all");
  }
  for (const [accept, query] of [
    ["text/event-stream", "_select=/title"],
    ["text/event-stream", "_where=%7B%22/on%22:%7B%7D%7D"],
    ["application/json", "_select=%5B%22/title%22%5D"],
  ]) {
    const answer = await curl("-H", `Accept: ${accept}`, `${daemon.url}/channels/${fetcher}?name=bad&${query}`);
    assert.equal(answer.status, 400);
    assert.equal(answer.json().code, "invalid_params");
  }
});
