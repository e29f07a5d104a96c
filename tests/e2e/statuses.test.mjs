// How a channel fares: told once at every change, to those who come late as well, and the same wherever one looks.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually, seconds, sleep, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  plugins: ["list", "list-complete", "list-shy"],
  config: {
    plugins: { call_timeout: "5s" }, // a sixth of it is the host's, to end a call in: more than a stall of the machine
    fetchers: { "list-shy": { quota: { calls: 1000, per: "minute" } }, "list-complete": { enabled: false } },
  },
});
after(() => daemon.stop());

const row = async (id) => (await daemon.get("/channels")).json.channels.find((one) => one.id === id);

// Follows a channel through one trouble and back. Its first subscriber hears of each transition once, with what belongs
// to it; a late one gets the present state behind its snapshot; /channels shows the same.
async function through(fetcher, name, trouble, { state, reason, lasts = 2500 }) {
  const [params, id, path] = [{ name }, `${fetcher}?name=${name}`, `/list/${name}`];
  await upstream.setList(name, [{ id: "1" }]);
  const client = await daemon.subscriber();
  await client.subscribe(fetcher, params);
  await client.waitForItems(fetcher, params, ["1"]);
  const begin = Date.now();
  await upstream.fail(path, ...trouble);
  const heard = await client.waitFor("status", (one) => one.state === state);
  assert.equal(heard.reason, reason);
  assert.ok(heard.message.length > 10, heard.message);
  assert.ok(Math.abs(Date.parse(heard.at) - Date.now()) < seconds(5), heard.at);
  assert.ok(Date.parse(heard.at) >= begin - 50 && Date.parse(heard.next_poll) > Date.parse(heard.at), heard.next_poll);

  // Further polls that end so are no news.
  await sleep(lasts);
  const late = await daemon.subscriber();
  await late.subscribe(fetcher, params);
  const told = await late.waitFor("status");
  assert.deepEqual([told.state, told.reason, told.at], [state, reason, heard.at]);
  const first = late.messages.map(({ type }) => type).slice(0, 4);
  assert.deepEqual(first, ["ready", "subscribed", "snapshot", "status"]);
  const shown = await row(id);
  assert.deepEqual([shown.state, shown.reason], [state, reason]);
  assert.ok(Date.parse(shown.next_poll) > Date.now() - seconds(6), shown.next_poll);

  await upstream.heal();
  const live = await client.waitFor("status", (one) => one.state === "live" && one.at > heard.at, { within: seconds(30) });
  assert.equal(live.reason, null);
  assert.ok(Date.parse(live.next_poll) > Date.parse(live.at));
  const told_of = client.messages.filter(({ type }) => type === "status").map((one) => [one.state, one.reason]);
  assert.deepEqual(told_of.slice(told_of.findIndex(([one]) => one === state)), [[state, reason], ["live", null]]);
  assert.equal((await row(id)).state, "live");
  await Promise.all([client.close(), late.close()]);
}

const troubles = [
  [["status", { status: 500 }], { state: "failing", reason: "upstream_error" }],
  [["status", { status: 404 }], { state: "failing", reason: "upstream_error" }],
  [["status", { status: 401 }], { state: "failing", reason: "unauthorized" }],
  [["status", { status: 403 }], { state: "failing", reason: "unauthorized" }],
  [["status", { status: 429, headers: { "Retry-After": "2" } }], { state: "limited", reason: "rate_limited" }],
  [["status", { status: 503, headers: { "Retry-After": "2" } }], { state: "limited", reason: "rate_limited" }],
  [["html"], { state: "failing", reason: "bad_result" }],
  [["reset"], { state: "failing", reason: "unreachable" }],
  [["hang"], { state: "failing", reason: "timeout", lasts: 9000 }],
];
for (const [number, [trouble, expected]] of troubles.entries())
  test(`${trouble[0]} ${trouble[1]?.status ?? ""} is ${expected.state}: ${expected.reason}, told once`, () =>
    through("list", `trouble-${number}`, trouble, expected));

test("a 403 that the fetcher declares to mean 429 is limited, and stops its whole credential for as long as it says", async () => {
  for (const name of ["shy", "other"]) await upstream.setList(name, [{ id: "1" }]);
  const client = await daemon.subscriber();
  for (const name of ["shy", "other"]) {
    await client.subscribe("list-shy", { name });
    await client.waitForItems("list-shy", { name }, ["1"]);
  }
  await upstream.fail("/list/shy", "status", { status: 403, headers: { "Retry-After": "5" }, times: 1 });
  const limited = await client.waitFor("status", ({ params, state }) => params.name === "shy" && state === "limited");
  assert.equal(limited.reason, "rate_limited");
  const since = Date.parse(limited.at);
  const { quota } = (await daemon.get("/fetchers/list-shy")).json;
  assert.deepEqual([quota.calls, quota.per], [1000, "minute"]);
  assert.ok(Date.parse(quota.renews) >= since + 4000, `renews ${quota.renews}, limited since ${limited.at}`);
  await client.waitFor("status", ({ params, state }) => params.name === "shy" && state === "live", { within: seconds(20) });
  for (const name of ["shy", "other"]) {
    const during = (await upstream.requests(`/list/${name}`)).filter((time) => time > since + 700 && time < since + 4800);
    assert.deepEqual(during, [], `${name} was asked while the credential had to wait`);
  }
  await client.close();
});

test("a disabled fetcher is unavailable, in words and in the catalogue", async () => {
  const { health } = (await daemon.get("/fetchers/list-complete")).json;
  assert.deepEqual([health.state, health.reason], ["unavailable", "disabled"]);
  const client = await daemon.subscriber();
  client.send({ action: "subscribe", channel: "list-complete", params: { name: "x" } });
  const refused = await client.waitFor("error");
  assert.equal(refused.code, "unavailable");
  assert.match(refused.message, /disabled in the configuration/);
});

test("an upstream that is gone is unreachable; the quota left is shown all the while", async () => {
  const client = await daemon.subscriber();
  await client.subscribe("list-shy", { name: "other" });
  await upstream.stop();
  const gone = await client.waitFor("status", ({ state }) => state === "failing", { within: seconds(20) });
  assert.equal(gone.reason, "unreachable");
  await eventually(async () => (await row("list-shy?name=other")).reason === "unreachable", { what: "the same in /channels" });
  const { quota } = (await daemon.get("/fetchers/list-shy")).json;
  // Without keys the credential is the origin: what `list` has asked counts too.
  assert.ok(quota.left > 0 && quota.left < 1000, `${quota.left} left`);
  assert.ok(Date.parse(quota.renews) > Date.now() - 2000 && Date.parse(quota.renews) < Date.now() + 70_000, quota.renews);
});
