// The HTTP side, asked by the real curl.
import assert from "node:assert/strict";
import { test } from "node:test";
import { curl, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  plugins: ["list", "list-complete", "nyt-top"],
  config: { listen: { origins: ["https://friend.example"] } },
});
const JSON_ACCEPT = ["-H", "Accept: application/json"];

function assertJson(answer, status = 200) {
  assert.equal(answer.status, status, answer.body + answer.err);
  assert.match(answer.headers["content-type"], /^application\/json/);
  return answer.json();
}

test("/ is a page for browsers and the catalogue for everyone else", async () => {
  const page = await curl("-H", "Accept: text/html,application/xhtml+xml", `${daemon.url}/`);
  assert.equal(page.status, 200);
  assert.match(page.headers["content-type"], /^text\/html/);
  assert.match(page.body, /<html/i);
  const catalogue = assertJson(await curl(`${daemon.url}/`));
  assert.deepEqual(catalogue.fetchers.map(({ name }) => name).sort(), ["list", "list-complete", "nyt-top", "restream-status"]);
});

test("/fetchers tells of every fetcher: its metadata, health, keys by name only, quota", async () => {
  const { fetchers } = assertJson(await curl(`${daemon.url}/fetchers`));
  const nyt = fetchers.find(({ name }) => name === "nyt-top");
  assert.equal(nyt.id_field, "uri");
  assert.deepEqual(nyt.keys, { "api-key": "missing" });
  assert.deepEqual([nyt.quota.calls, nyt.quota.per], [500, "day"]);
  assert.ok("left" in nyt.quota && "renews" in nyt.quota);
  const list = fetchers.find(({ name }) => name === "list");
  assert.equal(list.api_url, "http://127.0.0.1:9/list/{}");
  assert.equal(list.health.state, "live");
  assert.equal(list.health.restarts, 0);
  assert.equal(typeof list.channels, "number");
  assert.deepEqual(assertJson(await curl(`${daemon.url}/fetchers/list`)).name, "list");
  assertJson(await curl(`${daemon.url}/fetchers/no-such`), 404);
});

test("/channels/… is demand: it waits for the first poll and gives the snapshot, its state and a strong ETag", async () => {
  await upstream.setList("got", [{ id: "b", n: 1 }, { id: "a", n: 2 }]);
  await upstream.delay("/list/got", 700);
  const first = await curl(...JSON_ACCEPT, `${daemon.url}/channels/list-complete?name=got`);
  await upstream.heal();
  const message = assertJson(first);
  assert.equal(message.type, "snapshot");
  assert.equal(message.channel, "list-complete");
  assert.deepEqual(message.params, { name: "got" });
  assert.equal(message.state, "live");
  assert.match(message.position, /^[0-9a-f]{16}:2$/);
  assert.deepEqual(message.items.map(({ id }) => id), ["b", "a"]);
  assert.match(first.headers.etag, /^"[^"]+"$/);

  const same = await curl("-H", `If-None-Match: ${first.headers.etag}`, `${daemon.url}/channels/list-complete?name=got`);
  assert.equal(same.status, 304);
  assert.equal(same.body, "");
  await upstream.setList("got", [{ id: "b", n: 3 }]);
  const client = await daemon.subscriber();
  await client.subscribe("list-complete", { name: "got" });
  await client.waitFor("updated_item");
  const changed = await curl("-H", `If-None-Match: ${first.headers.etag}`, `${daemon.url}/channels/list-complete?name=got`);
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.etag, first.headers.etag);
  await client.close();
});

test("/channels tells of every channel", async () => {
  await upstream.setList("told", [{ id: "b" }, { id: "a" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "told" });
  await client.waitForItems("list", { name: "told" }, ["a", "b"]);
  const { channels } = assertJson(await curl(`${daemon.url}/channels`));
  const channel = channels.find(({ id }) => id === "list?name=told");
  assert.deepEqual(Object.keys(channel).sort(), [
    "channel", "id", "items", "last_poll", "next_poll", "params", "position", "reason", "state", "subscribers",
  ]);
  assert.deepEqual(
    [channel.channel, channel.params, channel.state, channel.items, channel.subscribers],
    ["list", { name: "told" }, "live", 2, 1],
  );
  await client.close();
});

test("refusals are JSON with a sentence: 400 for params, 404 for what is not there, 405 for methods", async () => {
  const refused = [
    [400, `${daemon.url}/channels/list`],
    [400, `${daemon.url}/channels/list?name=a&other=b`],
    [400, `${daemon.url}/channels/list?name=a&name=b`],
    [400, `${daemon.url}/channels/list?name=%zz`],
    [400, `${daemon.url}/channels/list?name=%00`],
    [404, `${daemon.url}/channels/no-such?name=a`],
    [404, `${daemon.url}/no-such`],
    [405, "-X", "POST", `${daemon.url}/channels/list?name=a`],
    [405, "-X", "POST", "-d", "{\"a\": 1}", `${daemon.url}/channels/list?name=a`],
    [405, "-X", "DELETE", `${daemon.url}/fetchers`],
  ];
  for (const [status, ...words] of refused) {
    const answer = await curl(...words);
    const { message } = assertJson(answer, status);
    assert.ok(message?.length > 5, `${words.at(-1)}: ${answer.body}`);
    if (status === 405) assert.match(answer.headers.allow, /GET/);
  }
});

test("paths that climb reach nothing", async () => {
  const answer = await curl("--path-as-is", `${daemon.url}/channels/../fetchers/../../etc/passwd`);
  assert.equal(answer.status, 404);
  await curl("--path-as-is", `${daemon.url}/channels/list?name=..%2F..%2Fsvc%2Ftopstories`);
  const { by_path: paths } = await upstream.stats();
  assert.ok(Object.keys(paths).every((path) => path.startsWith("/list/")), Object.keys(paths).join());
});

test("/livez and /readyz say that all is well", async () => {
  for (const path of ["/livez", "/readyz"]) assertJson(await curl(`${daemon.url}${path}`));
});

test("HEAD is answered like GET, without the body", async () => {
  const answer = await curl("-I", `${daemon.url}/fetchers`);
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "");
});

test("origins: a listed one gets CORS headers, a foreign one does not", async () => {
  const friend = await curl("-H", "Origin: https://friend.example", `${daemon.url}/fetchers`);
  assert.equal(friend.headers["access-control-allow-origin"], "https://friend.example");
  const foreign = await curl("-H", "Origin: https://foreign.example", `${daemon.url}/fetchers`);
  assert.equal(foreign.headers["access-control-allow-origin"], undefined);
});

test("a channel that cannot be polled is told with its state", async () => {
  const answer = await curl(...JSON_ACCEPT, `${daemon.url}/channels/nyt-top?section=world`);
  assert.match(answer.body, /needs_key/);
  assert.match(answer.headers["content-type"], /^application\/json/);
});
