// One poll is followed through the log by its name.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
after(() => upstream.stop());
const KEY = "k3y"; // too short to be redacted: it must not get there at all
const start = (level) =>
  startDaemon({
    upstream,
    plugins: ["list", "careless", "nyt-top"],
    config: { log: { level }, fetchers: { list: { poll_interval: "200ms" }, careless: { config: { fault: "logs key" } } } },
    keys: { "nyt-top": { "api-key": KEY }, careless: { token: "a-secret-token" } },
  });
const linesOf = (daemon, name) => daemon.log().split("\n").filter((line) => line.includes(`poll=${name}`));
const steps = (lines) => lines.map((line) => /msg="([^"]*)"/.exec(line)[1]);
const value = (line, name) => new RegExp(` ${name}=(?:"([^"]*)"|(\\S+))`).exec(line)?.slice(1).find(Boolean);

test("from the call into the plugin to the push, every line of a poll bears its name", async () => {
  const daemon = await start("debug");
  await upstream.setList("seen", [{ id: "a" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "seen" });
  await client.waitForItems("list", { name: "seen" }, ["a"]);
  await upstream.setList("seen", [{ id: "a" }, { id: "b" }]);
  const { position } = await client.waitFor("new_item", ({ id }) => id === "b");

  const found = await eventually(
    () => daemon.log().split("\n").find((line) => /msg="committed"/.test(line) && value(line, "position") === position),
    { what: "the line of the commit" },
  );
  const name = value(found, "poll");
  assert.match(name, /^[0-9a-f]{8}$/);
  await eventually(() => steps(linesOf(daemon, name)).includes("pushed"), { what: "the line of the push" });
  const lines = linesOf(daemon, name);
  assert.deepEqual(steps(lines), ["poll", "request", "answer", "plugin answered", "committed", "pushed"]);
  for (const line of lines) if (value(line, "channel")) assert.equal(value(line, "channel"), "list?name=seen");
  assert.match(value(lines[1], "url"), /^https?:.*\/list\/seen$/);
  assert.equal(value(lines[2], "status"), "200");
  assert.equal(value(lines[5], "subscribers"), "1");
  const names = daemon.log().match(/msg="poll" poll=\S+/g);
  assert.equal(new Set(names).size, names.length, "no two polls have one name");

  await client.subscribe("nyt-top", { section: "home" });
  await eventually(() => /msg="request".*topstories/.test(daemon.log()), { what: "a request with a key in its query" });
  assert.ok(!daemon.log().includes(KEY), "no query in the log");
});

test("what a plugin logs during a poll bears the poll's name, and so does the trouble it ends in", async () => {
  const daemon = await start("info");
  await upstream.setList("bad", [{ id: "1" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "bad" });
  await client.waitForItems("list", { name: "bad" }, ["1"]);
  assert.ok(!/msg="(poll|request|answer|committed|pushed)"/.test(daemon.log()), "no steps at info");
  await upstream.fail("/list/bad", "status", { status: 500 });
  await client.waitFor("status", ({ state }) => state === "failing");
  const line = await eventually(() => daemon.log().split("\n").find((one) => /channel failing.*list\?name=bad/.test(one)), { what: "it" });
  assert.match(value(line, "poll"), /^[0-9a-f]{8}$/);
  await client.subscribe("careless", { name: "bad" });
  const said = await eventually(() => daemon.log().split("\n").find((one) => /asking with/.test(one)), { what: "the plugin's line" });
  assert.match(said, /asking with \[redacted\]" plugin=careless source=plugin poll=[0-9a-f]{8}$/);
});

test("a key that a plugin gives away is struck out of status messages, last errors and the log", async () => {
  const token = "a-secret-token";
  const daemon = await startDaemon({
    upstream,
    plugins: ["careless"],
    config: {
      fetchers: {
        careless: { config: { fault: "key in message" } },
        dying: { plugin: "careless", config: { fault: "dies saying key" } },
      },
    },
    keys: { careless: { token }, dying: { token } },
  });
  const client = await daemon.subscriber();
  await client.subscribe("careless", { name: "a" });
  const failing = await client.waitFor("status", ({ state }) => state === "failing");
  assert.match(failing.message, /asked with \[redacted\]/);
  const other = await daemon.subscriber();
  await other.subscribe("dying", { name: "a" });
  const crashed = await other.waitFor("status", ({ reason }) => reason === "plugin_crashed");
  assert.match(crashed.message, /cannot go on with \[redacted\]/);
  const { json } = await daemon.get("/fetchers/dying");
  assert.match(json.health.last_error, /cannot go on with \[redacted\]/);
  for (const path of ["/fetchers", "/channels"])
    assert.ok(!JSON.stringify((await daemon.get(path)).json).includes(token), path);
  assert.ok(!daemon.log().includes(token), "the log");
});
