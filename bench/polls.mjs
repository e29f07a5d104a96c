// What a poll costs the daemon and its fetcher host, what a channel costs, and how evenly the polls of many channels are
// spread: real daemon, real plugin, an API that does not change. Prints figures; gates nothing.
//
//   RESTREAM_BUILD=build/release node bench/polls.mjs [channels [interval in ms [seconds]]]
//   RESTREAM_BUILD=build/release node bench/polls.mjs 10000 10000 30     10,000 channels of one fetcher
//
// Beside it, on the same upstream in the same run: a bare libcurl GET and one parse of the same document (bench-bare-get).
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { BUILD, run, sleep, startDaemon } from "../tests/e2e/harness.mjs";

const [channels = 1000, intervalMs = 1000, forSeconds = 20] = process.argv.slice(2).map(Number);
const TICKS = 100; // per second, of /proc/PID/stat
const text = "x".repeat(1100);
const document = JSON.stringify({
  items: Array.from({ length: 25 }, (_, i) => ({ id: `item-${i}`, title: `Item number ${i}`, text })),
});
const ETAG = '"unchanged"';

let requests = 0;
let bodies = 0;
let times = null; // of requests, while measuring
const server = createServer((request, response) => {
  ++requests;
  times?.push(performance.now());
  if (request.headers["if-none-match"] === ETAG) return void response.writeHead(304, { etag: ETAG }).end();
  ++bodies;
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(document), etag: ETAG };
  response.writeHead(200, headers).end(document);
});
server.keepAliveTimeout = 60_000;
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${server.address().port}`;

function cpuMs(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
}
const residentKiB = (pid) => Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]);
const hostOf = (pid) => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ")[0]);

const daemonOf = (count) =>
  startDaemon({
    plugins: ["list"],
    upstream: { url },
    config: {
      fetchers: {
        list: {
          poll_interval: `${intervalMs}ms`,
          pinned: Array.from({ length: count }, (_, i) => ({ name: `channel-${i}` })),
        },
      },
    },
  });

const small = await daemonOf(1);
await sleep(2000);
const base = residentKiB(small.pid);
await small.stop();

const daemon = await daemonOf(channels);
const host = hostOf(daemon.pid);
await sleep(Math.max(5000, 2 * intervalMs)); // the first polls, which are not like the others
const [daemonBefore, hostBefore, requestsBefore, bodiesBefore] = [cpuMs(daemon.pid), cpuMs(host), requests, bodies];
times = [];
const begin = performance.now();
await sleep(forSeconds * 1000);
const seconds = (performance.now() - begin) / 1000;
// How many polls fall into each tenth of an interval, of those that are over.
const tenth = intervalMs / 10;
const tenths = new Array(Math.floor((seconds * 1000) / tenth)).fill(0);
for (const time of times) {
  const at = Math.floor((time - begin) / tenth);
  if (at < tenths.length) ++tenths[at];
}
const mean = tenths.reduce((sum, count) => sum + count, 0) / tenths.length;
const deviation = Math.sqrt(tenths.reduce((sum, count) => sum + (count - mean) ** 2, 0) / tenths.length);
times = null;
const polls = requests - requestsBefore;
const sent = bodies - bodiesBefore;
const daemonUs = ((cpuMs(daemon.pid) - daemonBefore) * 1000) / polls;
const hostUs = ((cpuMs(host) - hostBefore) * 1000) / polls;
const perChannel = (residentKiB(daemon.pid) - base) / channels;
const perChannelUs = ((daemonUs + hostUs) * polls) / seconds / channels;
const hostKiB = residentKiB(host);
await daemon.stop();

const bare = JSON.parse((await run(join(BUILD, "bench/bench-bare-get"), [url, "3000"], { within: 60_000 })).out);
server.close();
console.log(
  [
    `${channels} channels every ${intervalMs} ms, ${document.length} bytes, unchanged`,
    `  polls            ${(polls / seconds).toFixed(0)} a second, ${sent} bodies sent`,
    `  CPU per poll     daemon ${daemonUs.toFixed(0)} us, host ${hostUs.toFixed(0)} us`,
    `  daemon           ${((daemonUs * polls) / seconds / 10_000).toFixed(0)} % of a core`,
    `  bare GET + parse ${bare.cpu_us.toFixed(0)} us of CPU: a poll costs ${((daemonUs + hostUs) / bare.cpu_us).toFixed(2)} times that`,
    `  a channel        ${perChannel.toFixed(1)} KiB in the daemon, ${perChannelUs.toFixed(0)} us of CPU a second in daemon and host`,
    `  host             ${hostKiB} KiB`,
    `  spread           ${Math.min(...tenths)} to ${Math.max(...tenths)} polls in a tenth of the interval, ${mean.toFixed(0)} on average, deviation ${deviation.toFixed(1)}`,
  ].join("\n"),
);
process.exit(0);
