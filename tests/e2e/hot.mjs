// What the tests of hot plugging share: versions of the plugin `hot`, put into a running daemon's plugins folder.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Daemon, pluginFile, SLOWNESS } from "./harness.mjs";

// What is promised is 2 seconds, of a machine that is there; sanitizers get more.
export const PROMISE = 2000 * SLOWNESS;

export const file = (daemon, name = "hot") => join(daemon.pluginFolder, `${name}.so`);
export const isEvent = ({ type }) => /_item$/.test(type);
export const isStatus = (state, reason = null) => (message) => message.state === state && message.reason === reason;

// In place: the same inode gets other bytes.
export const overwrite = (daemon, version) => daemon.addPlugin("hot", pluginFile(`hot-${version}`));
// In one step.
export function rename(daemon, version) {
  const beside = join(daemon.pluginFolder, ".hot.so.new");
  copyFileSync(pluginFile(`hot-${version}`), beside);
  chmodSync(beside, 0o644);
  renameSync(beside, file(daemon));
}

// A daemon that has this version from its start.
export async function start(upstream, version, { fetchers, ...more } = {}) {
  const one = { origin: upstream.url, allow_private: true, poll_interval: "100ms", force_interval: true };
  const daemon = new Daemon({ plugins: [], config: { fetchers: { hot: one, ...fetchers } }, ...more });
  if (version) overwrite(daemon, version);
  return daemon.start();
}

export async function following(upstream, daemon, name, items = [{ id: "1" }]) {
  await upstream.setList(name, items);
  const client = await daemon.subscriber();
  await client.subscribe("hot", { name });
  await client.waitForItems("hot", { name }, [items[0].id]);
  return client;
}
export const by = (version) => (message) => isEvent(message) && message.item.by === version;

// The daemon's children, from the process table.
export function hosts(daemon) {
  return readdirSync("/proc")
    .filter((entry) => /^[0-9]+$/.test(entry))
    .filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]) === daemon.pid;
      } catch {
        return false; // it has ended meanwhile
      }
    });
}
// Heard of no trouble.
export const unharmed = (client) =>
  assert.deepEqual(client.messages.filter(({ state }) => state === "failing" || state === "unavailable"), []);
export async function fetcher(daemon, name = "hot") {
  return (await daemon.get(`/fetchers/${name}`)).json;
}
