// The daemon's own channel, restream-status: followed like any other, and silent while nothing happens.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Daemon, eventually, pluginFile, Replica, sleep, startDaemon, startUpstream } from "./harness.mjs";

const OWN = "restream-status";
const upstream = await startUpstream();
after(() => upstream.stop());
const daemon = await startDaemon({
  upstream,
  config: { fetchers: { list: { poll_interval: "100ms", quota: { calls: 100_000, per: "minute" } } } },
});

const about = (id, holds = () => true) => (message) => message.id === id && holds(message.item);
const isEvent = ({ type, channel }) => channel === OWN && /_item$/.test(type);
async function watcher(more = {}) {
  const client = await daemon.subscriber();
  await client.subscribe(OWN, {}, more);
  return client;
}
const knownIds = (client) => {
  const snapshot = client.messages.find(({ type }) => type === "snapshot");
  return [...snapshot.items, ...client.messages.filter(isEvent)].map(({ id }) => id);
};

test("fetchers, quotas and hosts are items; channels come, change and go as they are followed", async () => {
  const own = await watcher();
  await eventually(() => knownIds(own).includes("fetcher/list"), { what: "the fetcher's item" });
  const ids = knownIds(own);
  for (const id of ["fetcher/list", "fetcher/list-complete", "quota/list", "host/list", "host/list-complete"])
    assert.ok(ids.includes(id), id);
  assert.ok(!ids.includes(`fetcher/${OWN}`));

  await upstream.setList("seen", [{ id: "a" }, { id: "b" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "seen" });
  const id = "channel/list?name=seen";
  const first = own.messages.find(about(id)) ?? (await own.waitFor("new_item", about(id)));
  assert.deepEqual(first.item.params, { name: "seen" });
  assert.equal(first.item.subscribers, 1);
  if (first.item.state !== "live" || first.item.items !== 2)
    await own.waitFor("updated_item", about(id, ({ state, items }) => state === "live" && items === 2));

  await upstream.fail("/list/seen", "status", { status: 500 });
  const failing = await own.waitFor("updated_item", about(id, ({ state }) => state === "failing"));
  assert.equal(failing.item.reason, "upstream_error");
  assert.ok(failing.patch.some(({ path, value }) => path === "/state" && value === "failing"));
  await upstream.heal();
  await own.waitFor("updated_item", about(id, ({ state }) => state === "live"));
  const second = await daemon.subscriber();
  await second.subscribe("list", { name: "seen" });
  await own.waitFor("updated_item", about(id, ({ subscribers }) => subscribers === 2));
});

test("nothing comes while nothing happens, though channels are polled ten times a second", async () => {
  const own = await watcher();
  await sleep(3000); // what the tests before it, and this one's coming, have changed
  own.forget();
  const polls = async () => (await upstream.requests("/list/seen")).length;
  const before = await polls();
  await sleep(6000);
  assert.ok((await polls()) - before > 20, "the channel is polled");
  assert.deepEqual(own.messages.filter(isEvent).filter(({ time }) => Date.parse(time) > Date.now() - 5500), []);
});

test("at most one batch a second, and a replica built from it is the snapshot over HTTP", async () => {
  const own = await watcher();
  const clients = [];
  for (let i = 0; i < 12; ++i) {
    const client = await daemon.subscriber();
    await client.subscribe("list-complete", { name: `n${i}` });
    clients.push(client);
    await sleep(150);
  }
  await own.waitFor(null, about("channel/list-complete?name=n11"));
  const times = [...new Set(own.messages.filter(isEvent).map(({ time }) => Date.parse(time)))].sort((a, b) => a - b);
  assert.ok(times.length <= (times.at(-1) - times[0]) / 1000 + 2, `${times}`); // one may be late on a busy machine
  const replica = new Replica(OWN, {});
  const both = async () => {
    const { json } = await daemon.get(`/channels/${OWN}`);
    return [Object.fromEntries(json.items.map(({ id, item }) => [id, item])), Object.fromEntries(replica.follow(own).items)];
  };
  await eventually(async () => isDeepStrictEqual(...(await both())), { what: "what HTTP says" }).catch(async () => assert.deepEqual(...(await both())));
  for (const client of clients) client.socket.close();
});

test("an event stream resumes from its last id", async () => {
  const own = await watcher();
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "sse" });
  const { position } = await own.waitFor(null, about("channel/list?name=sse"));
  await client.subscribe("list", { name: "later" });
  await own.waitFor(null, about("channel/list?name=later"));
  const abort = new AbortController();
  const answer = await fetch(`${daemon.url}/channels/${OWN}`, {
    headers: { accept: "text/event-stream", "last-event-id": position },
    signal: abort.signal,
  });
  let text = "";
  for await (const bytes of answer.body) {
    text += Buffer.from(bytes).toString();
    if (text.includes("channel/list?name=later")) break;
  }
  abort.abort();
  assert.match(text, /"resumed":true/);
  assert.match(text, /id: \S+\nevent: new_item\ndata: /);
});

test("refused files are items and are listed, whatever they are called", async () => {
  const own = await watcher();
  const put = (name) => writeFileSync(join(daemon.pluginFolder, `${name}.so`), "no library\n".repeat(50), { mode: 0o644 });
  put("broken");
  put("Not A Name");
  daemon.addPlugin(OWN, pluginFile("list"));
  await own.waitFor(null, about("host/broken", ({ state, problem }) => state === "refused" && /ELF/.test(problem)));
  await own.waitFor(null, about("host/Not A Name", ({ state }) => state === "refused"));
  await own.waitFor(null, about(`host/${OWN}`, ({ problem }) => /daemon's own/.test(problem)));
  const { json } = await daemon.get("/fetchers");
  const reasons = Object.fromEntries(json.refused_files.map(({ file, reason }) => [file.split("/").at(-1), reason]));
  assert.match(reasons["broken.so"], /ELF/);
  assert.match(reasons["Not A Name.so"], /named after its fetcher/);
  assert.match(reasons[`${OWN}.so`], /daemon's own/);
  assert.match(daemon.log(), new RegExp(`plugin refused.*${OWN}.so.*daemon's own`));
  for (const name of ["broken", "Not A Name", OWN]) rmSync(join(daemon.pluginFolder, `${name}.so`));
  await own.waitFor("removed_item", about("host/Not A Name"));
  await own.waitFor("removed_item", about(`host/${OWN}`));
  assert.deepEqual((await daemon.get("/fetchers")).json.refused_files, []);
});

test("its name cannot be configured", async () => {
  const named = new Daemon({ plugins: [], config: { fetchers: { [OWN]: {} } } });
  assert.match((await named.refuse("--check")).text, /restream-status' is the daemon's own fetcher/);
  const given = new Daemon({ plugins: [], config: { fetchers: { other: { plugin: OWN } } } });
  assert.match((await given.refuse("--check")).text, /plugin.*the daemon's own/);
});

test("a restart is no news: who resumes hears what has changed and nothing else", async () => {
  const own = await watcher();
  await sleep(1500);
  const { position } = own.messages.filter(isEvent).at(-1) ?? own.messages.find(({ type }) => type === "snapshot");
  own.socket.close();
  await daemon.restart();
  const client = await watcher({ since: position });
  assert.equal(client.messages.find(({ type }) => type === "subscribed").resumed, true);
  await client.waitFor("updated_item", about("host/list", ({ pid }) => pid !== null));
});
