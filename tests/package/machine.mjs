// The booted Debian of the package's test: RESTREAM_MACHINE is its root directory. It is booted once, and off at the end.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { atEnd, eventually, Process, run, seconds } from "../e2e/processes.mjs";

const ROOT = process.env.RESTREAM_MACHINE;
// systemd-nspawn's own list of system calls has none of them, and plugins are confined with them.
const LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self";

export class Machine {
  #leader; // the pid, here, of the machine's first process

  async boot() {
    const nspawn = new Process("systemd-nspawn", [
      `--directory=${ROOT}`,
      "--boot",
      "--register=no",
      "--keep-unit",
      "--machine=restream-test",
      "--resolv-conf=off",
      "--timezone=off",
      `--system-call-filter=${LANDLOCK}`,
      "--console=pipe",
    ]);
    atEnd(async () => {
      if (this.#leader && !nspawn.end) await this.try("systemctl", "poweroff");
      await nspawn.waitForEnd(seconds(30));
    });
    this.#leader = await eventually(() => (nspawn.end ? fail(nspawn) : firstProcess(nspawn.pid)), { what: "a first process" });
    let said;
    const booted = async () => /running|degraded/.test((said = await this.try("systemctl", "is-system-running")).out);
    await eventually(booted, { within: seconds(120), every: 500, what: "a booted machine" }).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(said)}\n${nspawn.log()}\n${nspawn.output()}`);
    });
  }

  get booted() {
    return Boolean(this.#leader);
  }

  // Runs a command in the machine, as root; gives {code, out, err}.
  try(...words) {
    return run("nsenter", ["--target", String(this.#leader), "--all", "--", ...words], { within: seconds(180) });
  }
  tryWithInput(input, ...words) {
    return run("nsenter", ["--target", String(this.#leader), "--all", "--", ...words], { input, within: seconds(180) });
  }
  // As above; fails when it does.
  async run(...words) {
    const { code, out, err } = await this.try(...words);
    if (code !== 0) throw new Error(`${words.join(" ")}: code ${code}\n${err}\n${out}`);
    return out;
  }

  // Starts the service, whether it runs or not. The test does so more often than systemd takes for sane.
  async restart() {
    await this.try("systemctl", "reset-failed", "restream");
    await this.run("systemctl", "restart", "restream");
  }
  async property(name) {
    return (await this.run("systemctl", "show", "restream", "--value", "--property", name)).trim();
  }
  async journal() {
    return (await this.try("journalctl", "--no-pager", "--output=cat", "--unit=restream", "--lines=60")).out;
  }
  journalHas(pattern) {
    return eventually(async () => pattern.test((await this.try("journalctl", "--output=cat", "--unit=restream")).out), {
      every: 200,
      what: `a line like ${pattern} in the journal`,
    });
  }

  // Of files in the machine.
  path(file) {
    return join(ROOT, file);
  }
  read(file) {
    return readFileSync(this.path(file), "utf8");
  }
  write(file, text) {
    writeFileSync(this.path(file), text);
  }
}

function fail(nspawn) {
  throw new Error(`systemd-nspawn ended:\n${nspawn.log()}\n${nspawn.output()}`);
}

// systemd-nspawn has a helper before: the machine's first process is the one that has number 1 there.
function firstProcess(nspawn) {
  const children = readFileSync(`/proc/${nspawn}/task/${nspawn}/children`, "utf8").trim().split(" ");
  return Number(children.find((pid) => pid && /^NSpid:.*\s1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8")))) || null;
}
