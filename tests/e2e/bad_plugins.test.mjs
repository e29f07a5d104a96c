// Plugins that do what no plugin should, side by side in one daemon, in the sandbox: what each costs its own subscribers,
// what people are told of it, and that nobody else feels it.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { after, describe, test } from "node:test";
import { eventually, seconds, SLOWNESS, sleep, startDaemon } from "./harness.mjs";

// What subscribers hear, and what GET /fetchers/NAME and the log say (`told`). `refused` ones are refused as a fetcher
// or in a while held: to subscribe is an error then.
const CULPRITS = {
  "null-dereference": { heard: "plugin_crashed", told: /SIGSEGV.*its last line: about to write to nowhere/ },
  "abort-in-constructor": { refused: true, told: /SIGABRT.*its last line: no configuration, no life/ },
  "loop-in-fetch": { heard: "plugin_timeout", told: /a call passed its deadline; its last line: round and round/ },
  "loop-in-metadata": { refused: true, told: /deadline|metadata\(\) did not return/ },
  "memory-leak": { heard: ["plugin_crashed", "bad_result"], told: /exit status 70; its last line: out of memory/, limited: true },
  "thread-bomb": { heard: "plugin_crashed", told: /it has [0-9]+ threads, more than 512; its last line: one thread more/ },
  "fork-bomb": { heard: "plugin_timeout", told: /a call passed its deadline; its last line: multiplying/ },
  "stdout-flood": { heard: "plugin_timeout", told: /a call passed its deadline; its last line: (p|[0-9]+ lines)/ }, // killed amid a line
  "log-flood": { heard: "plugin_timeout", told: /a call passed its deadline; its last line: (logged|[0-9]+ lines)/ },
  "garbage-result": { heard: "bad_result", told: /JSON/, polls: true },
  "endless-result": { heard: "bad_result", told: /too large/, polls: true },
  "deep-json": { heard: "bad_result", told: /deep|JSON/, polls: true },
  "deep-metadata": { refused: true, told: /nested deeper than 64 levels/ },
  "wrong-abi": { refused: true, told: /built for fetcher ABI 2\.3, this restream has 1\.0/ },
  "missing-symbol": { refused: true, told: /missing-symbol\.so: undefined symbol: nobody_wrote_this/ },
  "exception-across-c": { heard: "bad_result", told: /somebody will catch this/, polls: true },
  "exit-in-fetch": { heard: "plugin_crashed", told: /exit status 3; its last line: that was all/, plain: true },
  "close-fd-3": { heard: "plugin_crashed", told: /exit status 70; its last line: .*meddled with descriptor 3/, plain: true },
  "rubbish-on-fd-3": { heard: "plugin_crashed", told: /it sent a frame of 4294967295 bytes/ },
  "sleep-past-deadline": { heard: "plugin_timeout", told: /a call passed its deadline; its last line: good night/ },
  "ignore-cancellation": { heard: "plugin_timeout", told: /a call passed its deadline/ },
};
const BYSTANDERS = 5;
const POLL_MS = 100;
const SAMPLES = 250;
const ROUNDS = 3;
const MOST_ROUNDS = 7;
const SETTLE_MS = 500; // after a start: loading twenty plugins is no steady state

// Every answer is another item, which says when it was given: so every poll is news. /slow takes longer than a call.
const upstream = createServer((request, response) => {
  if (request.url === "/slow") return;
  const item = { id: "1", at: performance.now() };
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ items: [item] }));
});
await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
upstream.unref();
const origin = `http://127.0.0.1:${upstream.address().port}`;

const fetcher = (poll_interval) => ({ origin, allow_private: true, poll_interval, force_interval: true });
// Under a sanitizer nothing would stop it from taking the machine's.
const names = Object.keys(CULPRITS).filter((name) => !(CULPRITS[name].limited && SLOWNESS > 1));
const startWith = (culprits) =>
  startDaemon({
    plugins: ["list", ...culprits],
    tolerate: /plugin=/, // what they do to themselves is theirs
    config: {
      plugins: { call_timeout: `${2 * SLOWNESS}s`, memory: "64MiB" },
      fetchers: Object.fromEntries([["list", fetcher(`${POLL_MS}ms`)], ...culprits.map((name) => [name, fetcher("1s")])]),
    },
  });

// Subscribers of `list`, and what each delivery took, from the API's answer to the subscriber, in milliseconds.
async function addBystanders(daemon) {
  const delays = [];
  const clients = [];
  for (let i = 0; i < BYSTANDERS; ++i) {
    const client = await daemon.subscriber();
    await client.subscribe("list", { name: `bystander-${i}` });
    client.socket.on("message", (data) => {
      const at = JSON.parse(data).item?.at;
      if (at) delays.push(performance.now() - at);
    });
    clients.push(client);
  }
  return { clients, delays };
}
async function subscribeVictims(daemon) {
  const victims = {};
  for (const name of names) {
    victims[name] = await daemon.subscriber();
    if (!CULPRITS[name].refused) await victims[name].subscribe(name);
  }
  return victims;
}
async function measure({ delays }) {
  await sleep(SETTLE_MS);
  delays.length = 0;
  await eventually(() => delays.length >= SAMPLES, { within: seconds(40), what: `${SAMPLES} deliveries` });
  const sorted = [...delays].sort((a, b) => a - b);
  const quantile = (part) => sorted[Math.floor((sorted.length - 1) * part)];
  return { p50: quantile(0.5), p99: quantile(0.99), count: sorted.length };
}
const shown = ({ p50, p99 }) => `p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`;

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

// Half as much again, and the scheduler's share: half a dozen of the bad plugins never sleep, on perhaps two cores. Each
// delivery is a chain of some eight wake-ups (the API, http, core, the plugin's process and back, store, serve, the
// subscriber), and a thread that wakes up beside one that runs may have to wait for its slice to end, some 3 ms with
// Linux' defaults for two cores. Half of the deliveries meet that up to three times; one in a hundred at each link, and
// twice where two of the bad ones are before it.
const SLICE_MS = 3;
const SLICES = { p50: 3, p99: 15 };
function judge(rounds, what) {
  const [without, beside] = [rounds.without, rounds.beside].map((all) => middle(all.map((round) => round[what])));
  const allowed = 1.5 * without + SLICES[what] * SLICE_MS;
  const text = `${what}, median of rounds: ${beside.toFixed(1)} ms beside, ${without.toFixed(1)} ms without, ${allowed.toFixed(1)} ms allowed`;
  return { good: beside <= allowed, text };
}

// Rounds in turn, so that whatever else the machine does is in both. `list` alone has a daemon of its own, which is there
// all the time; the bad plugins are only while theirs is measured, and begin anew each time: later they are held. Three
// rounds, and more where somebody else may have been in the way; all of them count.
const comparing = SLOWNESS === 1; // times under a sanitizer say nothing
const rounds = { without: [], beside: [] };
const quiet = comparing && (await startWith([]));
const undisturbed = comparing && (await addBystanders(quiet));
let daemon;
let bystanders;
let victims;
do {
  await daemon?.stop();
  if (comparing) rounds.without.push(await measure(undisturbed));
  daemon = await startWith(names);
  bystanders = await addBystanders(daemon);
  victims = await subscribeVictims(daemon);
  if (comparing) rounds.beside.push(await measure(bystanders));
} while (comparing && !enough(rounds));
function enough({ beside }) {
  if (beside.length < ROUNDS || beside.length % 2 === 0) return false;
  return beside.length >= MOST_ROUNDS || Object.keys(SLICES).every((what) => judge(rounds, what).good);
}
if (quiet) await quiet.stop();
after(async () => {
  await daemon.stop();
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
});

const health = async (name) => (await daemon.get(`/fetchers/${name}`)).json.health;

describe("bad plugins", { concurrency: 64 }, () => {
  for (const [name, { heard, refused, told, polls, plain, limited }] of Object.entries(CULPRITS)) {
    // Where the sanitizers' own runtime changes how it ends, the exact words are left to the plain build.
    const words = plain && SLOWNESS > 1 ? /./ : told;
    const skip = limited && SLOWNESS > 1 && "a sanitizer's shadow memory leaves no limit to reach";
    test(`${name}: its subscribers and the operator are told`, { skip }, async () => {
      if (refused) {
        victims[name].send({ action: "subscribe", channel: name });
        const error = await victims[name].waitFor("error");
        assert.equal(error.code, "unavailable", JSON.stringify(error));
      } else {
        const wanted = [heard].flat();
        const status = await victims[name].waitFor("status", ({ reason }) => wanted.includes(reason), { within: seconds(20) });
        assert.equal(status.state, "failing");
      }
      const seen = await eventually(
        async () => {
          const now = await health(name);
          return words.test(now.last_error ?? "") && now;
        },
        { within: seconds(20), what: `${words} as the last error of ${name}` },
      ).catch(async (error) => {
        throw new Error(`${error.message}; it is ${JSON.stringify(await health(name))}\n${daemon.log().split("\n").filter((line) => line.includes(name)).slice(-8).join("\n")}`);
      });
      if (!polls && !refused) assert.ok(seen.restarts >= 1, JSON.stringify(seen));
      const named = () => daemon.log().split("\n").some((line) => line.includes(name) && words.test(line));
      await eventually(named, { what: `a line about ${name} like ${words} in the log` });
    });
  }

  test("five crashes hold a plugin, and its subscribers hear of it", async () => {
    const status = await victims["null-dereference"].waitFor("status", ({ reason }) => reason === "held", { within: seconds(60) });
    assert.equal(status.state, "unavailable");
    assert.match(status.message, /held after 5 crashes in ten minutes: signal 11 \(SIGSEGV\)/);
    const seen = await health("null-dereference");
    assert.equal(seen.state, "unavailable");
    assert.equal(seen.reason, "held");
    assert.equal(seen.restarts, 5);
    const ends = daemon.log().split("\n").filter((line) => /plugin host ended.*plugin=null-dereference/.test(line));
    const waits = ends.map((line) => Number(/restart_in=([0-9]+)ms/.exec(line)[1]));
    assert.equal(waits.length, 4);
    waits.forEach((wait, i) => assert.ok(wait >= 1000 * 2 ** i && wait <= 1250 * 2 ** i, `restarts after ${waits}`));
  });

  test("five calls that do not return hold a plugin too", async () => {
    const status = await victims["sleep-past-deadline"].waitFor("status", ({ reason }) => reason === "held", { within: seconds(120) });
    assert.equal(status.state, "unavailable");
    assert.match(status.message, /held after 5 crashes in ten minutes: killed: a call passed its deadline/);
    assert.equal((await health("sleep-past-deadline")).restarts, 5);
  });

  test("nobody else waits for it", { skip: !comparing && "times under a sanitizer say nothing" }, () => {
    console.log(`delivery without: ${rounds.without.map(shown).join("; ")}`);
    console.log(`delivery beside:  ${rounds.beside.map(shown).join("; ")}`);
    const verdicts = Object.keys(SLICES).map((what) => judge(rounds, what));
    for (const { text } of verdicts) console.log(text);
    for (const { good, text } of verdicts) assert.ok(good, text);
  });

  test("nobody else hears of it", async () => {
    const held = async () => (await health("null-dereference")).reason === "held";
    await eventually(held, { within: seconds(60), what: "the first of them held" });
    assert.equal((await health("list")).restarts, 0);
    for (const client of bystanders.clients) {
      const statuses = client.messages.filter(({ type, state }) => type === "status" && !["pending", "live"].includes(state));
      assert.deepEqual(statuses, [], "no bystander hears of any trouble");
    }
    assert.equal((await daemon.get("/readyz")).status, 200);
  });

  test("the daemon stays small and leaves no process behind", async () => {
    const kilobytes = Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))[1]);
    if (SLOWNESS === 1) assert.ok(kilobytes < 200 * 1024, `${kilobytes} KiB`);
    await sleep(100);
    const children = readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8").trim().split(/\s+/);
    assert.ok(children.length <= names.length + 1, `${children.length} hosts for ${names.length + 1} plugins`);
  });
});
