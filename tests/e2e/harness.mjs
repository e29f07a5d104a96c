// Starts what the end-to-end tests need: the sample upstream server, the real daemon with its plugins and keys, a
// subscriber. RESTREAM_BUILD names the build folder; RESTREAM_TEST_SLOWNESS multiplies every patience;
// RESTREAM_TEST_LOG=1 shows the daemon's log while a test runs.
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { atEnd, eventually, Process, run, seconds, temporaryFolder } from "./processes.mjs";
import { subscriber } from "./subscriber.mjs";

export { eventually, freePort, Process, run, seconds, sleep, SLOWNESS, stopwatch, temporaryFolder } from "./processes.mjs";
export { readPosition, Replica, Subscriber, subscriber } from "./subscriber.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
export const BUILD = process.env.RESTREAM_BUILD ?? fileURLToPath(new URL("../../build", import.meta.url));
export const PROGRAMS = {
  daemon: join(BUILD, "bin/restreamd"),
  keys: join(BUILD, "bin/restream-keys"),
  host: join(BUILD, "libexec/restream/restream-fetcher-host"),
  wscat: join(HERE, "node_modules/.bin/wscat"),
};
const PLUGIN_FOLDERS = [join(BUILD, "lib/restream/plugins"), join(BUILD, "tests/plugins")];
const UPSTREAM = fileURLToPath(new URL("../upstream/server.mjs", import.meta.url));

export function pluginFile(name) {
  const file = PLUGIN_FOLDERS.map((folder) => join(folder, `${name}.so`)).find((path) => existsSync(path));
  if (!file) throw new Error(`no ${name}.so in ${PLUGIN_FOLDERS.join(" or ")}: build it, and set RESTREAM_BUILD`);
  return file;
}

// The sample server. Its data changes only when told, unless `changeEvery` says otherwise.
export async function startUpstream({ changeEvery = "0", seed = "e2e", credentials } = {}) {
  const words = [UPSTREAM, "--port", "0", "--change-every", changeEvery, "--seed", seed];
  if (credentials) words.push("--credentials", credentials);
  const server = new Process(process.execPath, words);
  const [, url] = await server.waitForLine(/^upstream listening on (http:\S+)$/m);

  const control = async (verb, order) => {
    const answer = await fetch(`${url}/_control/${verb}`, order && { method: "POST", body: JSON.stringify(order) });
    const value = await answer.json();
    if (!answer.ok) throw new Error(`upstream refused ${verb}: ${value.error}`);
    return value;
  };
  return {
    url,
    port: Number(new URL(url).port),
    pid: server.pid,
    stats: () => control("stats"),
    change: () => control("change", {}),
    set: (path, what) => control("set", { path, ...what }),
    setList: (name, items) => control("set", { path: `/list/${name}`, items }),
    fail: (path, mode, more) => control("fail", { path, mode, ...more }),
    heal: () => control("heal", {}),
    delay: (path, ms) => control("delay", { path, ms }),
    // The times of the requests for a path, in milliseconds since 1970 (of the last 1,000 requests in all).
    requests: async (path) => {
      const { log } = await control("stats");
      return log.filter((entry) => entry.path === path).map((entry) => Date.parse(entry.time));
    },
    stop: async () => {
      server.signal("SIGTERM");
      await server.waitForEnd();
    },
  };
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function merged(base, over) {
  const result = { ...base };
  for (const [name, value] of Object.entries(over)) {
    result[name] = isObject(value) && isObject(result[name]) ? merged(result[name], value) : value;
  }
  return result;
}

// A daemon with a folder of its own. It is not started yet.
export class Daemon {
  #process = null;

  // plugins: names, copied into the daemon's own plugins folder; upstream: where all of them send their requests;
  // limit: how many descriptors it may have; tolerate: lines of the log in which sanitizers may report; config: laid over what is below; configText: the whole file instead; keys: {fetcher: {key name: value}}.
  constructor({ plugins = ["list", "list-complete"], upstream, config = {}, configText, keys, folder, limit, tolerate } = {}) {
    this.folder = folder ?? temporaryFolder();
    this.configFile = join(this.folder, "restream.yaml");
    this.pluginFolder = join(this.folder, "plugins");
    this.keys = keys;
    this.limit = limit;
    this.tolerate = tolerate;
    for (const name of ["plugins", "state"]) mkdirSync(join(this.folder, name), { recursive: true });
    chmodSync(this.pluginFolder, 0o755);
    chmodSync(join(this.folder, "state"), 0o700);
    for (const name of plugins) this.addPlugin(name);

    const one = { origin: upstream?.url, allow_private: true, poll_interval: "1s", force_interval: true };
    this.config = merged(
      {
        listen: { address: "127.0.0.1", port: 0, threads: 2 },
        plugins: { directory: this.pluginFolder, host: PROGRAMS.host },
        state: { directory: join(this.folder, "state") },
        keys: { file: join(this.folder, "keys.restream"), master_key: join(this.folder, "master.key") },
        fetchers: upstream ? Object.fromEntries(plugins.map((name) => [name, one])) : {},
      },
      config,
    );
    this.writeConfig(configText);
    atEnd(() => this.stop());
  }

  // JSON is YAML.
  writeConfig(text = `${JSON.stringify(this.config, null, 2)}\n`) {
    writeFileSync(this.configFile, text);
  }

  addPlugin(name, from = pluginFile(name)) {
    const file = join(this.pluginFolder, `${name}.so`);
    copyFileSync(from, file);
    chmodSync(file, 0o644);
  }

  async #makeKeys() {
    const words = ["--file", this.config.keys.file, "--master-key", this.config.keys.master_key];
    const made = await run(PROGRAMS.keys, [...words, "init"]);
    if (made.code !== 0) throw new Error(`restream-keys init: code ${made.code}: ${made.err}`);
    const filled = await run(PROGRAMS.keys, [...words, "import", "-"], { input: JSON.stringify(this.keys) });
    if (filled.code !== 0) throw new Error(`restream-keys import: code ${filled.code}: ${filled.err}`);
  }

  // Runs it to its end: for starts that are refused.
  async refuse(...words) {
    const { code, err, out } = await run(PROGRAMS.daemon, ["--config", this.configFile, ...words]);
    return { code, text: `${err}${out}` };
  }

  // `under`: words of a program that runs it.
  async start({ ready = true, under = [] } = {}) {
    if (this.keys && !existsSync(this.config.keys.file)) await this.#makeKeys();
    const command = [PROGRAMS.daemon, "--config", this.configFile];
    // prlimit becomes the daemon.
    const before = this.limit ? ["prlimit", `--nofile=${this.limit}`, ...under] : under;
    const [file, ...words] = [...before, ...command];
    this.#process = new Process(file, words, { tolerate: this.tolerate });
    const [, address] = await this.#process.waitForLine(/listening.*address=(\S+:[0-9]+)/);
    this.port = Number(address.split(":").at(-1));
    this.url = `http://${address}`;
    if (!ready) return this;
    const isReady = () => fetch(`${this.url}/readyz`).then((answer) => answer.ok, () => false);
    await eventually(isReady, { what: "a ready daemon" }).catch((error) => {
      throw new Error(`${error.message}\n${this.#process.lastLines()}`);
    });
    return this;
  }

  get pid() {
    return this.#process.pid;
  }
  log() {
    return this.#process?.log() ?? "";
  }
  waitForLine(pattern) {
    return this.#process.waitForLine(pattern);
  }
  signal(name) {
    this.#process.signal(name);
  }
  waitForEnd() {
    return this.#process.waitForEnd();
  }

  // SIGTERM, which must end it with code 0.
  async stop() {
    if (!this.#process || this.#process.end) return;
    this.#process.signal("SIGTERM");
    const { code, signal } = await this.waitForEnd();
    if (code !== 0) throw new Error(`the daemon ended with code ${code}, signal ${signal}:\n${this.log()}`);
  }

  // SIGKILL, at once.
  async kill9() {
    this.#process.signal("SIGKILL");
    await this.waitForEnd();
  }

  async restart() {
    await this.stop();
    return this.start();
  }

  // A connected subscriber that has had its `ready`.
  subscriber(options = {}) {
    return subscriber(this.url, { log: () => this.#process.lastLines(), ...options });
  }
  // What /metrics says: {name{labels}: number}
  async metrics() {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line && !line.startsWith("#"));
    return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
  }
  async get(path) {
    const answer = await fetch(`${this.url}${path}`, { headers: { accept: "application/json" } });
    return { status: answer.status, headers: answer.headers, json: await answer.json() };
  }
}

export function startDaemon(options) {
  return new Daemon(options).start();
}

// The real curl. Gives the last answer's status, its headers (names in lower case) and body.
export async function curl(...words) {
  const patience = String(Math.ceil(seconds(20) / 1000));
  const { code, out, err } = await run("curl", ["-sS", "-i", "--max-time", patience, ...words], { within: seconds(25) });
  const [, head, body] = /^([^]*?)\r\n\r\n([^]*)$/.exec(out) ?? [, "", out];
  const [first, ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { code, err, status: Number(first.split(" ")[1]), headers, body, json: () => JSON.parse(body) };
}
