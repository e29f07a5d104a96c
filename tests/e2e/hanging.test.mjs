// APIs that hang beside one that does not: nobody waits for another's trouble.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { eventually, seconds, startDaemon, stopwatch } from "./harness.mjs";

const HANGING = 200;
const INTERVAL_MS = 100;
const SAMPLES = 250;
// What a poll may come later than without them on a machine that has other things to do; waiting for one that hangs
// would cost seconds.
const ALLOWED_MS = seconds(0.2);

// One server at many addresses: 127.0.0.1 answers, all others take the request and never say a word.
async function manyUpstreams() {
  const healthy = [];
  const hung = new Set();
  const server = createServer((request, response) => {
    const address = request.socket.localAddress;
    if (address !== "127.0.0.1") return void hung.add(address);
    healthy.push(performance.now());
    response.writeHead(200, { "content-type": "application/json" }).end('{"items":[{"id":"1"}]}');
  });
  await new Promise((ready) => server.listen(0, "0.0.0.0", ready));
  after(() => server.closeAllConnections() ?? server.close());
  return { port: server.address().port, healthy, hung };
}

const p99 = (values) => [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1];

// How much later than its interval each of so many polls comes.
async function delays(upstream) {
  const from = upstream.healthy.length;
  await eventually(() => upstream.healthy.length > from + SAMPLES, {
    what: `${SAMPLES} polls`,
    within: seconds(10) + 2 * SAMPLES * INTERVAL_MS,
  });
  const times = upstream.healthy.slice(from);
  return times.slice(1).map((time, i) => time - times[i] - INTERVAL_MS);
}

test("200 upstreams that hang delay no poll of one that does not", async () => {
  const upstream = await manyUpstreams();
  const at = (address, name) => ({
    plugin: "list",
    origin: `http://${address}:${upstream.port}`,
    allow_private: true,
    poll_interval: `${INTERVAL_MS}ms`,
    force_interval: true,
    pinned: [{ name }],
  });
  const fetchers = { list: at("127.0.0.1", "healthy") };
  const alone = await startDaemon({ plugins: ["list"], config: { fetchers, plugins: { call_timeout: "6s" } } });
  const before = p99(await delays(upstream));
  await alone.stop();

  for (let i = 1; i <= HANGING; ++i) fetchers[`hangs-${i}`] = at(`127.0.1.${i}`, "hanging");
  const daemon = await startDaemon({ plugins: ["list"], config: { fetchers, plugins: { call_timeout: "6s" } } });
  // The first round, in which nobody knows yet who hangs.
  const known = upstream.healthy.length;
  const begun = () => upstream.hung.size === HANGING && upstream.healthy.length >= known + 2;
  await eventually(begun, { what: "all of them to be asked", within: seconds(40) });
  // A machine that has other things to do is late once; what hangs would be in the way each time.
  let beside = Infinity;
  for (let round = 0; round < 3 && beside > before + ALLOWED_MS; ++round) {
    beside = p99(await delays(upstream));
    console.log(`delay of a poll, p99: ${before.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside ${HANGING} that hang`);
  }
  assert.ok(beside <= before + ALLOWED_MS, `p99 ${beside} ms, alone ${before} ms`);
  const client = await daemon.subscriber();
  const time = stopwatch();
  await client.subscribe("list", { name: "newcomer" });
  await client.waitForItems("list", { name: "newcomer" }, ["1"]);
  assert.ok(time() < seconds(3), `a new channel took ${time()} ms`);
  await eventually(
    async () => {
      const { channels } = (await daemon.get("/channels")).json;
      return channels.filter(({ state, reason }) => state === "failing" && reason === "timeout").length === HANGING;
    },
    { what: "all of them failing: timeout", within: seconds(40) },
  );
  await daemon.stop();
});
