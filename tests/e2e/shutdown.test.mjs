// SIGTERM as clients meet it: refusals, goodbyes spread over some seconds, an end in time.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { curl, Process, seconds, startDaemon, startUpstream, stopwatch } from "./harness.mjs";

const upstream = await startUpstream();
await upstream.setList("last", [{ id: "a" }]);

async function crowd(daemon, count) {
  const sockets = [];
  for (let i = 0; i < count; i += 1) {
    sockets.push(await daemon.subscriber());
    await sockets[i].subscribe("list", { name: "last" });
  }
  return sockets;
}

test("new requests get 503, subscribers are sent away one after the other, and the end comes in time with code 0", async () => {
  const daemon = await startDaemon({ upstream });
  const sockets = await crowd(daemon, 12);
  const streams = sockets.map(() => new Process("curl", ["-sS", "-N", `${daemon.url}/events?channel=list%3Fname%3Dlast`]));
  for (const stream of streams) await stream.waitForLine(/^event: subscribed$/m);
  const ended = [];
  for (const socket of sockets) socket.socket.on("close", () => ended.push(Date.now()));
  const start = stopwatch();
  daemon.signal("SIGTERM");
  await daemon.waitForLine(/shutting down/);
  // All at once: in three seconds it is gone.
  const refused = async (path) => {
    const answer = await curl(`${daemon.url}${path}`);
    assert.equal(answer.status, 503, path);
    if (path !== "/readyz") assert.match(answer.headers["retry-after"], /^[0-9]+$/);
  };
  const paths = ["/channels", "/readyz", "/channels/list?name=last", "/events?channel=list%3Fname%3Dlast"];
  await Promise.all(paths.map(refused));
  // It is alive, and whoever watches it sees it go.
  const [living, numbers] = await Promise.all(["/livez", "/metrics"].map((path) => curl(`${daemon.url}${path}`)));
  assert.equal(living.status, 200);
  assert.equal(numbers.status, 200);
  assert.match(numbers.body, /^restream_http_responses_total\{code="5xx"\} [1-9]/m);
  await assert.rejects(daemon.subscriber(), /503/);
  for (const socket of sockets) {
    const { code, reason } = await socket.waitForClose();
    assert.equal(code, 1001);
    assert.match(reason, /[0-9a-f]{16}:[0-9]+$/);
  }
  const spread = Math.max(...ended) - Math.min(...ended);
  assert.ok(spread > 500, "all at once");
  assert.ok(spread <= seconds(5), `${spread} ms`);
  for (const stream of streams) assert.equal((await stream.waitForEnd()).code, 0);
  const { code } = await daemon.waitForEnd();
  assert.equal(code, 0);
  assert.ok(start() < seconds(10), `${start()} ms`);
  assert.ok(existsSync(join(daemon.folder, "state/restream.db")));
  assert.ok(!existsSync(join(daemon.folder, "state/restream.db-wal")), "the log is not in the database yet");
});

test("a second SIGTERM ends it at once", async () => {
  const daemon = await startDaemon({ upstream });
  await crowd(daemon, 8);
  daemon.signal("SIGTERM");
  await daemon.waitForLine(/shutting down/);
  const start = stopwatch();
  daemon.signal("SIGTERM");
  await daemon.waitForEnd();
  assert.ok(start() < seconds(2), `${start()} ms`);
});
