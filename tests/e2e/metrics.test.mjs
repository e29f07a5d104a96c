// GET /metrics: what Prometheus reads, judged by Prometheus' own tool, and whether the numbers are right.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { curl, eventually, run, startDaemon, startUpstream } from "./harness.mjs";

const PACKAGING = fileURLToPath(new URL("../../packaging/", import.meta.url));
const upstream = await startUpstream();
const daemon = await startDaemon({ upstream, config: { fetchers: { list: { poll_interval: "200ms" } } } });

const text = async () => (await fetch(`${daemon.url}/metrics`)).text();

const metrics = () => daemon.metrics();

test("promtool finds nothing to complain about", async () => {
  const { code, out, err } = await run("promtool", ["check", "metrics"], { input: await text() });
  assert.equal(code, 0, out + err);
  assert.equal(out + err, "");
  const rules = await run("promtool", ["check", "rules", `${PACKAGING}restream-alerts.yaml`]);
  assert.equal(rules.code, 0, rules.out + rules.err);
});

test("polls, events, subscribers and deliveries are counted", async () => {
  const before = await metrics();
  assert.equal(before['restream_subscribers{kind="websocket"}'], 0);
  await upstream.setList("counted", [{ id: 1 }, { id: 2 }]);
  const clients = await Promise.all([daemon.subscriber(), daemon.subscriber()]);
  for (const client of clients) await client.subscribe("list", { name: "counted" });
  for (const client of clients) await client.waitForItems("list", { name: "counted" }, [1, 2]);
  await upstream.setList("counted", [{ id: 1, more: true }, { id: 2 }]);
  for (const client of clients) await client.waitFor("updated_item");
  const now = await metrics();
  assert.equal(now['restream_subscribers{kind="websocket"}'], 2);
  assert.equal(now['restream_events_total{fetcher="list",kind="new"}'], 2);
  assert.equal(now['restream_events_total{fetcher="list",kind="updated"}'], 1);
  assert.ok(now["restream_deliveries_total"] >= 2, "each of the two heard at least of the update");
  assert.ok(now["restream_deliveries_total"] <= 6, "and none of them of more than there was");
  assert.ok(now['restream_polls_total{fetcher="list",outcome="ok"}'] >= 2);
  assert.equal(now['restream_channels{state="live"}'], 1);
  assert.ok(now["restream_commit_seconds_count"] >= 2);
  assert.equal(now['restream_http_responses_total{code="1xx"}'] - before['restream_http_responses_total{code="1xx"}'], 2);
  assert.ok(now["restream_sent_bytes_total"] > before["restream_sent_bytes_total"]);
  assert.ok(now["restream_connections"] >= 2 && now["restream_connections"] <= 6);
  assert.ok(now["restream_resident_memory_bytes"] > 1e6);
  await Promise.all(clients.map((client) => client.close()));
  const gone = async () => (await metrics())['restream_subscribers{kind="websocket"}'] === 0;
  await eventually(gone, { what: "no subscribers" });
});

test("a failing API shows in the outcome of its polls, and params are in no label", async () => {
  await upstream.fail("/list/broken", "status", { status: 500 });
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "broken" });
  await client.waitFor("status", ({ state }) => state === "failing");
  const now = await metrics();
  assert.ok(now['restream_polls_total{fetcher="list",outcome="upstream_error"}'] >= 1);
  assert.ok(!(await text()).includes("broken"));
});

test("items without an id and ids that come twice are counted by fetcher", async () => {
  await upstream.setList("odd", [{ id: 1 }, { id: 1 }, { no: "id" }, { id: 2 }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "odd" });
  await client.waitForItems("list", { name: "odd" }, [1, 2]);
  const counted = async () => {
    const now = await metrics();
    return now['restream_items_skipped_total{fetcher="list"}'] >= 2 && now['restream_items_repeated_total{fetcher="list"}'] >= 2;
  };
  await eventually(counted, { what: "the counts of two polls" });
  const lines = daemon.log().split("\n").filter((line) => /items without an id.*name=odd.*skipped=1 repeated=1/.test(line));
  assert.equal(lines.length, 1, "one line, however many polls");
  await client.close();
});

test("it is answered as Prometheus asks, and the dashboard asks for nothing else", async () => {
  const answer = await curl(`${daemon.url}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers["content-type"], /^text\/plain; version=0\.0\.4/);
  const asked = readFileSync(`${PACKAGING}restream-dashboard.json`, "utf8") + readFileSync(`${PACKAGING}restream-alerts.yaml`, "utf8");
  const known = new Set([...answer.body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  for (const [name] of asked.matchAll(/restream_[a-z_]+/g))
    assert.ok(known.has(name.replace(/_(bucket|sum|count)$/, "")), `${name} is not told`);
  const section = /^## Metrics\n(.*?)^## /ms.exec(readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8"))[1];
  const described = [...section.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, names]) => [...names.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name));
  assert.deepEqual(described.filter((name) => name !== "restream_").map((name) => `restream_${name}`).sort(), [...known].sort(), "as docs/operations.md lists them");
});
