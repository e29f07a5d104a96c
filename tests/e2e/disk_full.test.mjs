// A state directory that cannot be written, as subscribers, load balancers and operators see it. A limit on the size of
// files stands in for the disk: every write that SQLite makes is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { curl, eventually, run, seconds, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream });

async function limitFiles(bytes) {
  const { code, err } = await run("prlimit", ["--pid", String(daemon.pid), `--fsize=${bytes}:`]);
  assert.equal(code, 0, err);
}
const storeUp = async () => /^restream_store_up (\d)$/m.exec((await curl(`${daemon.url}/metrics`)).body)[1];

test("while nothing can be written nothing is pushed and /readyz is 503; it goes on by itself, and loses nothing", async () => {
  await upstream.setList("full", [{ id: "a" }]);
  const client = await daemon.subscriber();
  await client.subscribe("list", { name: "full" });
  await client.waitForItems("list", { name: "full" }, ["a"]);
  const stranger = await daemon.subscriber();

  client.forget();

  await limitFiles(1);
  await upstream.setList("full", [{ id: "a" }, { id: "b" }]);
  await eventually(async () => (await curl(`${daemon.url}/readyz`)).status === 503, { what: "/readyz that says so" });
  assert.match((await curl(`${daemon.url}/readyz`)).json().reason, /^the store cannot be written: /);
  assert.equal((await curl(`${daemon.url}/livez`)).status, 200);
  assert.equal(await storeUp(), "0");
  await client.expectNone("new_item", seconds(1.5));
  // What is on disk is told all the same.
  await stranger.subscribe("list", { name: "full" });
  assert.deepEqual((await stranger.waitFor("snapshot")).items.map(({ id }) => id), ["a"]);

  await limitFiles("unlimited");
  for (const one of [client, stranger]) await one.waitFor("new_item", ({ id }) => id === "b");
  await eventually(async () => (await curl(`${daemon.url}/readyz`)).status === 200, { what: "a ready daemon" });
  assert.equal(await storeUp(), "1");
  await client.close();
  await stranger.close();
});
