// The soak: an API that changes at random, clients that come and go, a daemon that is killed with SIGKILL at random. In
// the end every client knows what the API says; on the way nobody missed an event without being told, heard one twice,
// or heard of one offset what another did not.
//
//   tests/soak/run [--kills N] [--clients N] [--lists N] [--seed TEXT] [--minutes N]
//
// The seed decides what is done, not when: two runs with one seed are alike, not equal.
import { eventually, freePort, seconds, sleep } from "../e2e/processes.mjs";
import { Daemon } from "../e2e/harness.mjs";
import { Random } from "../upstream/random.mjs";
import { Client } from "./client.mjs";
import { canonical, Ledger } from "./copy.mjs";
import { Generator } from "./generator.mjs";

function readOptions(words) {
  const options = { kills: 12, clients: 18, lists: 5, minutes: 60, seed: String(Math.floor(Math.random() * 1e9)) };
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i].replace(/^--/, "");
    if (!(name in options) || words[i + 1] === undefined) throw new Error(`unknown option ${words[i]}; see soak.mjs`);
    options[name] = name === "seed" ? words[i + 1] : Number(words[i + 1]);
  }
  return options;
}

const options = readOptions(process.argv.slice(2));
console.log(`soak with --seed ${options.seed} --kills ${options.kills} --clients ${options.clients} --lists ${options.lists}`);
const random = new Random(`${options.seed}/kills`);
const ledger = new Ledger();
const begun = Date.now();

const generator = new Generator({ seed: options.seed, lists: options.lists, everyMs: 20 });
await generator.start();
const daemon = new Daemon({
  plugins: ["list-complete"],
  upstream: generator,
  // The same port after each kill.
  config: { fetchers: { "list-complete": { poll_interval: "200ms" } }, listen: { port: await freePort(), compression: true } },
});
await daemon.start();

const clients = Array.from(
  { length: options.clients },
  (_, number) => new Client({ ledger, seed: options.seed, number, url: daemon.url, lists: generator.names }),
);
const running = clients.map((client) => client.run());

async function kill() {
  daemon.signal("SIGKILL");
  await daemon.waitForEnd();
}

// Lives until a time drawn at random is over, or until somebody hears an event: then the commit is just over.
async function live() {
  if (random.between(0, 2) > 0) return sleep(random.between(0, 2500));
  await sleep(random.between(200, 1500));
  const { events } = ledger.counts;
  const deadline = Date.now() + 2000;
  while (ledger.counts.events === events && Date.now() < deadline) await sleep(1);
}

let kills = 0;
while (kills < options.kills && Date.now() - begun < options.minutes * 60_000 && ledger.faults.length < 20) {
  await live();
  await kill();
  ++kills;
  const starting = daemon.start();
  // Some are killed while they start.
  if (random.between(0, 9) === 0 && kills < options.kills) {
    starting.catch(() => {});
    await sleep(random.between(0, 150));
    await kill();
    ++kills;
    await daemon.start();
  } else {
    await starting;
  }
  if (kills % 25 === 0) console.log(`${kills} kills, ${ledger.counts.events} events, ${ledger.faults.length} faults`);
}

// Peace: nothing changes any more, and everybody gets there.
await sleep(seconds(1));
generator.rest();
clients.forEach((client) => client.stop());
await Promise.all(running);
const settled = async () => {
  for (const list of generator.names) {
    const { json } = await daemon.get(`/channels/list-complete?name=${list}`);
    const same = canonical(json.items.map(({ item }) => item)) === canonical(generator.items(list));
    if (!same) return false;
  }
  return true;
};
await eventually(settled, { within: seconds(40), what: "the API's lists, in their order, in the daemon's snapshots" });
const difference = (client) => {
  for (const copy of client.copies) {
    const different = copy.awaiting || !copy.position ? "no snapshot" : copy.difference(generator.items(copy.list));
    if (different) return `${client.who}, ${copy.list}: ${different}`;
  }
  return null;
};
const late = Array.from(
  { length: 2 },
  (_, i) => new Client({ ledger, seed: options.seed, number: 1000 + 2 * i, url: daemon.url, lists: generator.names }),
);
const everybody = [...clients, ...late];
await Promise.all(everybody.map((client) => client.finish(() => difference(client) === null, seconds(30))));
for (const client of everybody) {
  const different = difference(client);
  if (different) ledger.fault("state", different);
}
const compared = ledger.check();
await daemon.stop();
generator.stop();

const summary = {
  seed: options.seed,
  kills,
  minutes: Math.round((Date.now() - begun) / 6000) / 10,
  clients: everybody.length,
  changes: generator.changes,
  polls: generator.requests,
  ...ledger.counts,
  snapshots_compared_with_the_log: compared,
  faults: ledger.faults.length,
};
console.log(JSON.stringify(summary, null, 2));
const { events, resumed, partial, compressed } = ledger.counts;
const enough =
  events > 10 * options.clients && resumed > options.clients && compared > 5 && partial > options.clients && compressed > 0;
if (!enough) console.log("that was too little to say anything");
process.exit(ledger.faults.length === 0 && enough ? 0 : 1);
