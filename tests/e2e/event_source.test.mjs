// The browser's own EventSource, in a real Chromium: what it hears, and where it goes on after the daemon was killed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openViewer } from "./browser.mjs";
import { eventually, freePort, seconds, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();

test("EventSource resumes by itself after kill -9: each event once and in order", async () => {
  await upstream.setList("kept", [{ id: "a", n: 1 }]);
  const daemon = await startDaemon({ upstream, plugins: ["list-complete"], config: { listen: { port: await freePort() } } });
  const { page, close } = await openViewer(daemon.url);
  await page.evaluate(() => {
    window.heard = [];
    window.source = new EventSource("/channels/list-complete?name=kept");
    for (const type of ["subscribed", "snapshot", "new_item", "updated_item", "removed_item"]) {
      window.source.addEventListener(type, ({ data, lastEventId }) => {
        const { id, item, resumed, items } = JSON.parse(data);
        window.heard.push({ type, id, n: item?.n, resumed, items: items?.length, lastEventId });
      });
    }
  });
  const heard = () => page.evaluate(() => window.heard);
  const hears = (what, condition) => eventually(async () => condition(await heard()), { within: seconds(20), what });
  const isThere = (all, n) => all.some((one) => one.n === n || (one.type === "snapshot" && one.items === n));
  await hears("the item", (all) => isThere(all, 1));
  await upstream.setList("kept", [{ id: "a", n: 2 }]);
  await hears("the update", (all) => isThere(all, 2));

  await daemon.kill9();
  await upstream.setList("kept", [{ id: "a", n: 3 }]);
  await daemon.start();
  await hears("what changed meanwhile", (all) => isThere(all, 3));
  await upstream.setList("kept", [{ id: "a", n: 4 }]);
  await hears("what came after", (all) => isThere(all, 4));

  const all = await heard();
  assert.deepEqual(all.filter(({ type }) => type === "updated_item").map(({ n }) => n), [2, 3, 4]);
  assert.equal(all.filter(({ type }) => type === "subscribed").at(-1).resumed, true);
  assert.equal(all.filter(({ type }) => type === "snapshot").length, 1, "a resumed stream needs no snapshot");
  const offsets = all.filter(({ type }) => /_item$/.test(type)).map(({ lastEventId }) => Number(lastEventId.split(":")[1]));
  assert.deepEqual(offsets, offsets.map((_, place) => offsets[0] + place));
  await page.evaluate(() => window.source.close());
  await close();
  await daemon.stop();
});
