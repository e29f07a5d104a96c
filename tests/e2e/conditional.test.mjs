// Conditional requests through the whole daemon: what an unchanged API costs.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();

async function statuses(name) {
  const { log } = await upstream.stats();
  return log.filter(({ path, status }) => path === `/list/${name}` && status !== null).map(({ status }) => status);
}

test("an unchanged API sends its document once, over a restart too, and a change is still heard", async () => {
  const daemon = await startDaemon({ upstream, config: { fetchers: { list: { pinned: [{ name: "calm" }] } } } });
  await upstream.setList("calm", [{ id: "1", text: "x".repeat(30_000) }]);
  await eventually(async () => (await statuses("calm")).includes(200), { what: "a first poll" });
  const since = (await statuses("calm")).indexOf(200);
  await eventually(async () => (await statuses("calm")).length >= since + 3, { what: "further polls" });
  await daemon.restart();
  const before = (await statuses("calm")).length;
  await eventually(async () => (await statuses("calm")).length >= before + 2, { what: "polls after the restart" });
  const all = (await statuses("calm")).slice(since);
  assert.deepEqual(all, [200, ...Array(all.length - 1).fill(304)]);

  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "calm" });
  assert.equal((await client.waitFor("snapshot")).items.length, 1);
  await upstream.setList("calm", [{ id: "1", text: "short" }]);
  assert.equal((await client.waitFor("updated_item")).item.text, "short");
  await eventually(async () => (await statuses("calm")).at(-1) === 304, { what: "304 for what is new" });
  await daemon.stop();

  // What is on disk names no URL.
  const cache = join(daemon.folder, "state/cache");
  for (const name of readdirSync(cache)) {
    assert.match(name, /^[0-9a-f]{32}$/);
    assert.ok(!readFileSync(join(cache, name)).includes("/list/"));
  }
});
