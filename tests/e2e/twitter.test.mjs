// The two plugins that come with restream, with keys from a keystore, against APIs of the published shapes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, Replica, run, PROGRAMS, startDaemon, startUpstream } from "./harness.mjs";

const keys = JSON.parse(readFileSync(new URL("../upstream/demo-keys.json", import.meta.url)));
const values = Object.values(keys).flatMap((fetcher) => Object.values(fetcher));
const upstream = await startUpstream();
const generous = { quota: { calls: 100_000, per: "hour" } }; // or an interval of 1 s would be stretched
const options = {
  upstream,
  plugins: ["twitter-status", "nyt-top"],
  config: { fetchers: { "twitter-status": generous, "nyt-top": generous } },
};
const daemon = await startDaemon({ ...options, keys });
const TWEET = { id: "1460323737035677698" };

function assertNoKeys(text, where) {
  for (const value of values) {
    for (const form of [value, encodeURIComponent(value), Buffer.from(value).toString("base64").replace(/=+$/, "")]) {
      assert.ok(!text.includes(form), `a key is in ${where}`);
    }
  }
}

test("a tweet is fetched with a good signature, and its likes rise as updates with patches", async () => {
  const client = await daemon.subscriber();
  await client.subscribe("twitter-status", TWEET);
  await client.waitForItems("twitter-status", TWEET, [TWEET.id]);
  const begin = new Replica("twitter-status", TWEET).follow(client);
  let likes = begin.items.get(TWEET.id).public_metrics.like_count;
  for (let round = 0; round < 3; ++round) {
    await upstream.change();
    const update = await client.waitFor("updated_item");
    assert.ok(update.item.public_metrics.like_count > likes);
    likes = update.item.public_metrics.like_count;
    const patched = update.patch.find(({ path }) => path === "/public_metrics/like_count");
    assert.deepEqual(patched, { op: "replace", path: "/public_metrics/like_count", value: likes });
  }
  const replica = new Replica("twitter-status", TWEET).follow(client);
  assert.equal(replica.items.get(TWEET.id).public_metrics.like_count, likes);
  const { log, unauthorized } = await upstream.stats();
  assert.equal(unauthorized, 0);
  assert.ok(log.every(({ path, host }) => !path.startsWith("/2/") || host === "api.twitter.com"), "Host stays the API's");
});

test("a deleted tweet is removed, an unknown one is an empty channel", async () => {
  const client = await daemon.subscriber();
  const deleted = { id: "1700000000000000001" };
  await client.subscribe("twitter-status", deleted);
  await client.waitForItems("twitter-status", deleted, [deleted.id]);
  await upstream.set(`/2/tweets/${deleted.id}`, { items: [] });
  assert.equal((await client.waitFor("removed_item")).id, deleted.id);
  await client.subscribe("twitter-status", { id: "42" });
  await client.waitFor("status", ({ params, state }) => params.id === "42" && state === "live");
  await client.expectNone("new_item", 100, ({ params }) => params.id === "42");
  client.send({ action: "subscribe", channel: "twitter-status", params: { id: "not-a-number" } });
  assert.equal((await client.waitFor("error")).code, "invalid_params");
});

test("top stories: home by default, a section with a slash, new and edited stories, nothing removed", async () => {
  const client = await daemon.subscriber();
  const { params } = await client.subscribe("nyt-top");
  assert.deepEqual(params, { section: "home" });
  await client.subscribe("nyt-top", { section: "books/review" });
  await client.waitFor("status", (message) => message.params.section === "home" && message.state === "live");
  await client.waitFor("status", (message) => message.params.section === "books/review" && message.state === "live");
  for (const section of ["home", "books/review"]) {
    const replica = new Replica("nyt-top", { section });
    await eventually(() => replica.follow(client).items.size >= 20, { what: `the stories of ${section}` });
  }
  const { changes } = await upstream.change();
  const told = changes.find(({ path }) => path === "/svc/topstories/v2/home.json");
  const isHome = (message) => message.params.section === "home";
  for (const uri of told.new) await client.waitFor("new_item", (message) => isHome(message) && message.id === uri);
  for (const uri of told.updated) {
    const { patch } = await client.waitFor("updated_item", (message) => isHome(message) && message.id === uri);
    assert.deepEqual(patch.map(({ path }) => path).sort(), ["/title", "/updated_date"]);
  }
  await client.expectNone("removed_item", 300);
  const late = await daemon.subscriber();
  await late.subscribe("nyt-top", { section: "home" });
  const shown = (await late.waitFor("snapshot")).items.map(({ id }) => id);
  for (const uri of told.removed) assert.ok(!shown.includes(uri), "it has left the snapshot");
  const books = (await daemon.get("/channels/nyt-top?section=books%2Freview")).json;
  assert.deepEqual(books.params, { section: "books/review" });
});

test("a section that does not exist is refused without a request", async () => {
  const before = (await upstream.stats()).total;
  const client = await daemon.subscriber();
  client.send({ action: "subscribe", channel: "nyt-top", params: { section: "gossip" } });
  const { code, message } = await client.waitFor("error");
  assert.equal(code, "invalid_params");
  assert.match(message, /section/);
  const { log, total } = await upstream.stats();
  assert.ok(log.slice(before - total).every(({ path }) => !path.includes("gossip")));
});

test("keys are named as present and never shown: not over HTTP, not in a log, a process list or a state file", async () => {
  const { json } = await daemon.get("/fetchers");
  const keysOf = (name) => json.fetchers.find((fetcher) => fetcher.name === name).keys;
  assert.deepEqual(keysOf("nyt-top"), { "api-key": "present" });
  assert.ok(Object.values(keysOf("twitter-status")).every((state) => state === "present"));
  for (const path of ["/fetchers", "/channels", "/metrics"]) {
    assertNoKeys(await (await fetch(`${daemon.url}${path}`)).text(), path);
  }
  assertNoKeys(daemon.log(), "the log");
  assertNoKeys(readFileSync(`/proc/${daemon.pid}/cmdline`, "latin1"), "the command line");
  const state = await run("sh", ["-c", 'find "$0" -type f -exec cat {} +', join(daemon.folder, "state")]);
  assert.equal(state.code, 0);
  assertNoKeys(state.out, "the state folder");
});

test("a wrong key is failing: unauthorized, and still not shown", async () => {
  const wrong = structuredClone(keys);
  wrong["twitter-status"]["consumer-secret"] = "a-wrong-secret-of-some-length";
  const other = await startDaemon({ ...options, keys: wrong });
  const client = await other.subscriber();
  await client.subscribe("twitter-status", TWEET);
  const { reason, message } = await client.waitFor("status", ({ state }) => state === "failing");
  assert.equal(reason, "unauthorized");
  assert.ok(!message.includes("a-wrong-secret"));
  assert.ok(!other.log().includes("a-wrong-secret"));
  await other.stop();
});

test("a fetcher starts by itself once its key is in the keystore and the daemon is told to read it", async () => {
  const other = await startDaemon({ ...options, keys: { "twitter-status": keys["twitter-status"] } });
  const client = await other.subscriber();
  await client.subscribe("nyt-top", { section: "arts" });
  await client.waitFor("status", ({ state, reason }) => state === "needs_key" && reason === "missing_key");
  const { file, master_key: master } = other.config.keys;
  const words = ["--file", file, "--master-key", master, "set", "nyt-top", "api-key"];
  const set = await run(PROGRAMS.keys, words, { input: `${keys["nyt-top"]["api-key"]}\n` });
  assert.equal(set.code, 0, set.err);
  other.signal("SIGHUP");
  await client.waitFor("new_item"); // the snapshot was sent before the key was there
  await client.waitFor("status", ({ state }) => state === "live");
  await other.stop();
});
