// Processes and folders that a test makes, and that are gone when the test file ends, however it ends.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

// Sanitizers make everything slower; every patience of the tests is multiplied by this.
export const SLOWNESS = Number(process.env.RESTREAM_TEST_SLOWNESS ?? 1);
export const seconds = (count) => count * 1000 * SLOWNESS;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// How late this process's timers were, summed up: what a busy machine takes from all that runs on it.
const TICK_MS = 50;
let late = 0;
let expected = performance.now() + TICK_MS;
setInterval(() => {
  const now = performance.now();
  if (now - expected > 5) late += now - expected;
  expected = now + TICK_MS;
}, TICK_MS).unref();

// A function that gives the milliseconds since now, less those in which the machine was not there for us.
export function stopwatch() {
  const begin = performance.now();
  const before = late;
  return () => {
    const now = performance.now();
    return Math.round(now - begin - (late - before) - Math.max(0, now - expected));
  };
}

// A port that is free, and stays so until it is bound, or bound again: of these the kernel gives none to those who
// connect or ask for any.
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const isFree = await new Promise((resolve) => {
      const server = createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

const children = new Set();
const folders = new Set();
const endings = []; // functions to call before what is left is killed, in the order they were given
const SANITIZER_REPORT = /(ERROR|WARNING): (Address|Thread|Leak|Memory)Sanitizer|runtime error: /;

function clear() {
  for (const child of children) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}

export function atEnd(ending) {
  endings.push(ending);
}

after(async () => {
  const failures = [];
  for (const ending of endings) {
    try {
      await ending();
    } catch (error) {
      failures.push(error);
    }
  }
  clear();
  if (failures.length > 0) throw failures[0];
});
process.on("exit", clear);
// A file that throws before its first test is ended by node without "exit".
process.on("uncaughtExceptionMonitor", clear);
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => process.exit(1));

// A fresh folder that only we may look into.
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "restream-e2e-"));
  folders.add(folder);
  return folder;
}

// Waits until `look` gives something true, and gives that back.
export async function eventually(look, { within = seconds(30), what = "what the test waits for", every = 20 } = {}) {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`after ${within} ms there is still not ${what}`);
    await sleep(every);
  }
}

// One process of ours: its output, its end, and ways to end it, by its id.
export class Process {
  #log = "";
  #output = "";

  // `input` is what standard input holds; "open" leaves it open with nothing in it, for programs that end with it.
  // `tolerate`: lines of the log in which a sanitizer may report something.
  constructor(file, words, { cwd, input, tolerate } = {}) {
    this.tolerate = tolerate;
    this.name = file.split("/").at(-1);
    // Nothing of the caller's environment but what programs need to run (and what tunes the sanitizers).
    const keep = ["PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"];
    const env = Object.fromEntries(keep.flatMap((name) => (name in process.env ? [[name, process.env[name]]] : [])));
    this.child = spawn(file, words, { cwd, env, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"] });
    if (input === "open") this.child.stdin.unref();
    else if (input !== undefined) this.child.stdin.end(input);
    this.child.stdout.on("data", (text) => (this.#output += text));
    this.child.stderr.on("data", (text) => {
      this.#log += text;
      if (process.env.RESTREAM_TEST_LOG) process.stderr.write(text);
    });
    children.add(this.child);
    this.ended = new Promise((resolve) => {
      this.child.on("error", (error) => {
        children.delete(this.child);
        this.#log += `cannot run ${file}: ${error.message}\n`;
        this.end = { code: null, signal: null, error };
        resolve(this.end);
      });
      this.child.on("close", (code, signal) => {
        children.delete(this.child);
        this.end ??= { code, signal };
        resolve(this.end);
      });
    });
    // What still runs when a test file is done must not keep it from ending.
    this.child.unref();
    this.child.stdout.unref();
    this.child.stderr.unref();
  }

  get pid() {
    return this.child.pid;
  }

  // Standard error and standard output so far.
  log() {
    return this.#log;
  }
  output() {
    return this.#output;
  }

  lastLines(count = 25) {
    return this.#log.split("\n").slice(-count).join("\n");
  }

  // Waits for a line of standard error or standard output; gives the match.
  waitForLine(pattern, within = seconds(30)) {
    return eventually(
      () => {
        const match = pattern.exec(this.#log) ?? pattern.exec(this.#output);
        if (!match && this.end) {
          const { code, signal } = this.end;
          throw new Error(`${this.name} ended (code ${code}, signal ${signal}) before it said ${pattern}:\n${this.#log}`);
        }
        return match;
      },
      { within, what: `a line like ${pattern} from ${this.name}` },
    ).catch((error) => {
      throw new Error(`${error.message}\n${this.lastLines()}`);
    });
  }

  // Waits for the end and gives {code, signal}.
  async waitForEnd(within = seconds(30)) {
    await eventually(() => this.end, { within, what: `an end of ${this.name}` });
    await this.ended;
    const suspects = this.#log.split("\n").filter((line) => !this.tolerate?.test(line));
    if (suspects.some((line) => SANITIZER_REPORT.test(line))) throw new Error(`a sanitizer complained about ${this.name}:\n${this.#log}`);
    return this.end;
  }

  signal(name) {
    if (!this.end) this.child.kill(name);
  }
}

// Runs a program to its end.
export async function run(file, words, { cwd, input, within } = {}) {
  const started = new Process(file, words, { cwd, input });
  const { code, signal, error } = await started.waitForEnd(within);
  if (error) throw error;
  return { code, signal, out: started.output(), err: started.log() };
}
