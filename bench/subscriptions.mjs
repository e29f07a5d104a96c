// What a further subscription of a connection takes of the daemon's memory, on channels that have a subscriber already.
// Prints a figure; gates nothing.
//
//   RESTREAM_BUILD=build/release node bench/subscriptions.mjs [connections [channels]]
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { sleep, startDaemon } from "../tests/e2e/harness.mjs";

const [connections = 200, channels = 100] = process.argv.slice(2).map(Number);
const SETTLED = 3000; // ms, after which nothing is under way any more

const server = createServer((_, response) => response.writeHead(200).end('{"items":[{"id":"1"}]}'));
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

const daemon = await startDaemon({
  plugins: ["list"],
  upstream: { url: `http://127.0.0.1:${server.address().port}` },
  config: {
    limits: {
      connections_per_address: connections + 10,
      channels_per_address: channels,
      subscriptions_per_connection: channels,
    },
    fetchers: { list: { poll_interval: "1h" } },
  },
});
const privateKiB = () => Number(/Private_Dirty: +([0-9]+)/.exec(readFileSync(`/proc/${daemon.pid}/smaps_rollup`, "latin1"))[1]);

async function follow(client, from, to) {
  for (let i = from; i < to; ++i) await client.subscribe("list", { name: `channel-${i}` });
}
async function settled() {
  await sleep(SETTLED);
  return privateKiB();
}

await follow(await daemon.subscriber(), 0, channels);
const clients = [];
for (let i = 0; i < connections; ++i) clients.push(await daemon.subscriber());
for (const client of clients) await follow(client, 0, 1);
const before = await settled();
for (const client of clients) await follow(client, 1, channels);
const after = await settled();
const further = connections * (channels - 1);
console.log(`${further} further subscriptions: ${(((after - before) * 1024) / further).toFixed(0)} bytes each`);
await daemon.stop();
server.close();
