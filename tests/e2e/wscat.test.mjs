// The real wscat, as a person would use it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Process, PROGRAMS, startDaemon, startUpstream } from "./harness.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({ upstream });
const address = `${daemon.url.replace("http", "ws")}/channels`;

test("wscat prints what a channel tells", async () => {
  await upstream.setList("shown", [{ id: "1", title: "for people" }]);
  const subscribe = JSON.stringify({ action: "subscribe", channel: "list", params: { name: "shown" } });
  const words = ["--no-color", "--connect", address, "--execute", subscribe, "--wait", "60"];
  const wscat = new Process(process.execPath, [PROGRAMS.wscat, ...words], { input: "open" });
  await wscat.waitForLine(/"type":"ready"/);
  await wscat.waitForLine(/"type":"subscribed"/);
  await wscat.waitForLine(/"type":"new_item".*"for people"/);
  await upstream.setList("shown", [{ id: "1", title: "for more people" }]);
  const [line] = await wscat.waitForLine(/\{"type":"updated_item".*\}/);
  assert.equal(JSON.parse(line).item.title, "for more people");
  wscat.signal("SIGTERM");
  await wscat.waitForEnd();
});
