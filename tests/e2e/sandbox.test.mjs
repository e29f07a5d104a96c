// A plugin that wants out, in a real daemon with a keystore, a database and neighbours; and what restreamd does where
// plugins cannot be confined.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BUILD, Daemon, PROGRAMS, run, startDaemon } from "./harness.mjs";

const OLDER_KERNEL = join(BUILD, "tests/tools/older-kernel");
const BURGLAR = { poll_interval: "1s", force_interval: true };

// How the burglar fares: {attempt, at} -> its own words.
async function attempt(daemon, params) {
  const client = await daemon.subscriber();
  await client.subscribe("burglar", params);
  const { item } = await client.waitFor("new_item");
  client.terminate();
  return item.outcome;
}

function start(sandbox) {
  return startDaemon({
    plugins: ["burglar", "list"],
    keys: { burglar: { "api-key": "k-123456789" } },
    config: { plugins: { sandbox }, fetchers: { burglar: BURGLAR } },
  });
}

// Where a process's first mapping begins: a place that can be read.
const firstAddress = (pid) => `0x${readFileSync(`/proc/${pid}/maps`, "utf8").split("-")[0]}`;
const hostOf = (daemon, plugin) =>
  readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, "utf8")
    .trim()
    .split(" ")
    .find((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] === plugin);

describe("a plugin", async () => {
  const confined = await start("required");
  const free = await start("off");
  after(async () => {
    await confined.stop();
    await free.stop();
  });
  // A process of another user's cannot be read by anybody but root: without the sandbox that would prove nothing.
  const root = process.getuid() === 0;
  const GOALS = [
    ["the keystore", (daemon) => ({ attempt: "read", at: daemon.config.keys.file })],
    ["the master key", (daemon) => ({ attempt: "read", at: daemon.config.keys.master_key })],
    ["the configuration", (daemon) => ({ attempt: "read", at: daemon.configFile })],
    ["the database", (daemon) => {
      const file = readdirSync(daemon.config.state.directory).find((name) => /\.(db|sqlite3?)$/.test(name));
      assert.ok(file, `a database in ${readdirSync(daemon.config.state.directory)}`);
      return { attempt: "read", at: join(daemon.config.state.directory, file) };
    }],
    ["/etc/passwd", () => ({ attempt: "read", at: "/etc/passwd" })],
    ["another plugin's file", (daemon) => ({ attempt: "read", at: join(daemon.pluginFolder, "list.so") })],
    root && ["the daemon's memory", ({ pid }) => ({ attempt: "read-memory", at: `${pid} ${firstAddress(pid)}` })],
    root && ["another plugin's memory", (daemon) => {
      const pid = hostOf(daemon, "list");
      return { attempt: "read-memory", at: `${pid} ${firstAddress(pid)}` };
    }],
    ["the network", ({ port }) => ({ attempt: "connect", at: String(port) })],
  ].filter(Boolean);
  for (const [what, how] of GOALS) {
    test(`cannot get at ${what}, and could without its sandbox`, async () => {
      assert.match(await attempt(confined, how(confined)), /^(Permission denied|Function not implemented)$/);
      assert.match(await attempt(free, how(free)), /^done/);
    });
  }
  test("without its sandbox is loud in the log", () => {
    assert.match(free.log(), /level=warning msg="plugins.sandbox is off: every plugin can read/);
    assert.doesNotMatch(confined.log(), /sandbox/);
  });
});

describe("where plugins cannot be confined", () => {
  const CASES = [
    ["landlock_create_ruleset=38", /Landlock: the kernel has none \(Linux 5\.13/],
    ["landlock_create_ruleset=95", /Landlock: the kernel has it but it is switched off \(add landlock to/],
    ["landlock_create_ruleset=1", /Landlock: its system calls are forbidden here \(a service manager/],
    ["filter=22", /seccomp: the kernel takes no filter/],
  ];
  for (const [missing, words] of CASES) {
    test(`(${missing}) restreamd refuses to start and says what is missing`, async () => {
      const daemon = new Daemon({ plugins: ["list"] });
      const { code, err } = await run(OLDER_KERNEL, [missing, "--", PROGRAMS.daemon, "--config", daemon.configFile]);
      assert.equal(code, 1, err);
      assert.match(err, words);
      assert.match(err, /plugins\.sandbox is required/);
    });
  }
  test("best-effort goes on and logs it", async () => {
    const daemon = new Daemon({
      plugins: ["burglar"],
      config: { plugins: { sandbox: "best-effort" }, fetchers: { burglar: BURGLAR } },
    });
    await daemon.start({ under: [OLDER_KERNEL, "landlock_create_ruleset=38", "--"] });
    assert.match(daemon.log(), /level=warning msg="plugins are confined in part.*missing="Landlock: the kernel has none/);
    assert.equal(await attempt(daemon, { attempt: "socket" }), "Function not implemented");
    await daemon.stop();
  });
  test("a host that cannot be started at all is named", async () => {
    const daemon = new Daemon({ plugins: [], config: { plugins: { host: "/nonexistent/host" } } });
    const { code, text } = await daemon.refuse();
    assert.equal(code, 1);
    assert.match(text, /\/nonexistent\/host: No such file or directory/);
  });
});
