// The Debian packages, in a booted Debian 12 (run tests/package/run): installed, given a key and a plugin, upgraded,
// reloaded, hung, stopped, removed and purged. One step after the other; the first that fails ends it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { curl, eventually, Process, PROGRAMS, Replica, seconds, startUpstream, subscriber } from "../e2e/harness.mjs";
import { Machine } from "./machine.mjs";

const URL = "http://127.0.0.1:8080";
const KEY = "demo-not-a-real-key-nyt"; // the sample upstream takes it
const HOME = { section: "home" };
const CONFIG = "/etc/restream/restream.yaml";

const machine = new Machine();
const upstream = await startUpstream();
let failed = false;

function step(name, work) {
  test(name, { timeout: seconds(300) }, async (context) => {
    if (failed) return context.skip("a step before it failed");
    failed = true;
    try {
      await work(context);
    } catch (error) {
      if (!machine.booted) throw error;
      throw new Error(`${error.message}\n--- the journal's last lines:\n${await machine.journal()}`, { cause: error });
    }
    failed = false;
  });
}

const getJson = async (path) => (await curl(`${URL}${path}`)).json();
const ready = () => eventually(async () => (await curl(`${URL}/readyz`)).status === 200, { every: 100, what: "a ready daemon" });
const fetcher = (name) => getJson(`/fetchers/${name}`);
const mainPid = () => machine.property("MainPID");

// The configuration that the package brought, and what this test adds.
let packaged;
function configure(text) {
  machine.write(CONFIG, `${packaged}\n${text}`);
}
const listening = (interval) => `fetchers:
  nyt-top: {origin: '${upstream.url}', allow_private: true, poll_interval: ${interval}, force_interval: true,
            quota: {calls: 100000, per: hour}}
  list: {origin: '${upstream.url}', allow_private: true, poll_interval: ${interval}, force_interval: true}
`;

// One change upstream, as it comes to a subscriber. A replica complains of a hole or a repetition in the offsets.
async function change(socket, replica) {
  const before = socket.messages.length;
  const heard = () => socket.messages.slice(before).some(({ type, channel }) => type === "updated_item" && channel === "nyt-top");
  await upstream.change();
  await eventually(heard, { within: seconds(20), what: "a change" });
  replica.follow(socket);
}

// What the replica made of the events is what the daemon has. (It may have more: stories that have left the front page.)
async function equalToDaemon(socket, replica) {
  const equal = async () => {
    const { items } = await getJson("/channels/nyt-top?section=home");
    replica.follow(socket);
    return items.length > 0 && items.every(({ id, item }) => isDeepStrictEqual(replica.items.get(id), item));
  };
  await eventually(equal, { every: 200, what: "the items that the daemon has" });
}

step("a Debian 12 boots", () => machine.boot());

step("apt-get install gives a running service that is ready", async () => {
  await machine.run("apt-get", "install", "-y", "/debs/restream.deb");
  assert.equal(await machine.property("ActiveState"), "active");
  assert.equal(await machine.property("Type"), "notify");
  await ready();
  packaged = machine.read(CONFIG);
});

// What could be reached from elsewhere: TCP sockets that listen, and UDP, raw and packet sockets whatever they do, as
// "tcp 0100007F:1F90". Those of the service's processes, or all of the machine's.
const SERVICE_INODES =
  "for pid in $(pgrep -u restream); do ls -l /proc/$pid/fd; done | sed -n 's/.*socket:\\[\\([0-9]*\\)\\]$/\\1/p'";
async function openings({ ofService }) {
  const kinds = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"];
  const table = await machine.run("sh", "-c", `for kind in ${kinds.join(" ")}; do sed "1d; s/^/$kind /" /proc/net/$kind; done`);
  const inodes = ofService && (await machine.run("sh", "-c", SERVICE_INODES)).trim().split("\n");
  return table
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/))
    .filter(([kind, , , , state]) => !kind.startsWith("tcp") || state === "0A")
    .map((words) => ({ text: `${words[0]} ${words[2]}`, inode: words[words[0] === "packet" ? 9 : 10] }))
    .filter(({ inode }) => !ofService || inodes.includes(inode))
    .map(({ text }) => text);
}
const LOOPBACK_8080 = "tcp 0100007F:1F90";

step("it listens on loopback only", async () => {
  assert.deepEqual(await openings({ ofService: true }), [LOOPBACK_8080]);
  // Nor does anybody else because of it. (The API's stand-in is beside the machine.)
  const standIn = `tcp 0100007F:${upstream.port.toString(16).toUpperCase().padStart(4, "0")}`;
  assert.deepEqual((await openings({ ofService: false })).filter((one) => one !== standIn), [LOOPBACK_8080]);
});

step("no key is set, and systemctl status says in one line what to do", async () => {
  assert.equal(await machine.run("restream-keys", "list"), "");
  const text = await eventually(
    async () => {
      const { out } = await machine.try("systemctl", "status", "--no-pager", "restream");
      return /^\s*Status: "(.*)"$/m.exec(out)?.[1];
    },
    { what: "a Status line" },
  );
  assert.match(text, /listening on 127\.0\.0\.1:8080; next: .*restream-keys set nyt-top api-key/);
  assert.equal((await fetcher("nyt-top")).keys["api-key"], "missing");
});

step("the service's user owns the keystore and the state, and nobody else sees into them", async () => {
  const modes = await machine.run("stat", "-c", "%U %a %n", "/etc/restream/keys.restream", "/etc/restream/master.key", "/var/lib/restream");
  assert.deepEqual(modes.trim().split("\n"), [
    "restream 600 /etc/restream/keys.restream",
    "root 600 /etc/restream/master.key",
    "restream 700 /var/lib/restream",
  ]);
});

step("systemd-analyze security gives 2.0 or better", async (context) => {
  const text = await machine.run("systemd-analyze", "security", "--no-pager", "restream");
  const level = Number(/Overall exposure level for restream.service: ([0-9.]+)/.exec(text)[1]);
  context.diagnostic(`exposure level ${level}`);
  assert.ok(level <= 2.0, text);
});

step("plugins are confined all the same: Landlock and seccomp, no privileges", async () => {
  const hosts = (await machine.run("pgrep", "-u", "restream", "-f", "restream-fetcher-host")).trim().split("\n");
  assert.equal(hosts.length, 2);
  for (const pid of hosts) {
    const status = await machine.run("cat", `/proc/${pid}/status`);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^Seccomp:\s+2$/m);
    // One filter is systemd's, for the service; another one the host's own.
    const filters = Number(/^Seccomp_filters:\s+([0-9]+)$/m.exec(status)[1]);
    const daemon = await machine.run("cat", `/proc/${await mainPid()}/status`);
    assert.ok(filters > Number(/^Seccomp_filters:\s+([0-9]+)$/m.exec(daemon)[1]), status);
  }
  const { out } = await machine.try("journalctl", "--output=cat", "--unit=restream");
  assert.match(out, /plugins are confined.*Landlock.*seccomp/);
});

step("a key set by root reaches the running service", async () => {
  configure(listening("1s"));
  await machine.restart();
  await ready();
  const pid = await mainPid();
  const set = await machine.tryWithInput(KEY, "sudo", "restream-keys", "set", "nyt-top", "api-key");
  assert.equal(set.code, 0, set.err);
  const present = async () => (await fetcher("nyt-top")).keys["api-key"] === "present";
  await eventually(present, { every: 100, what: "the key" });
  assert.equal(await mainPid(), pid);
  assert.equal((await machine.run("stat", "-c", "%U %a", "/etc/restream/keys.restream")).trim(), "restream 600");
  await eventually(async () => !/next:/.test(await machine.property("StatusText")), {
    within: seconds(15),
    every: 200,
    what: "a status without a thing to do",
  });
});

step("wscat hears a channel", async () => {
  const order = JSON.stringify({ action: "subscribe", channel: "nyt-top" });
  const words = ["--no-color", "--connect", `${URL.replace("http", "ws")}/channels`, "--execute", order, "--wait", "60"];
  const wscat = new Process(process.execPath, [PROGRAMS.wscat, ...words], { input: "open" });
  await wscat.waitForLine(/"type":"subscribed"/);
  await wscat.waitForLine(/"type":"new_item"|"items":\[\{/);
  await upstream.change();
  await wscat.waitForLine(/"type":"updated_item"/);
  wscat.signal("SIGTERM");
  await wscat.waitForEnd();
});

step("a plugin is built with nothing but restream-sdk, and dropped in", async () => {
  await machine.run("apt-get", "install", "-y", "/debs/restream-sdk.deb");
  await machine.run("cmake", "-S", "/plugin", "-B", "/plugin/build");
  await machine.run("cmake", "--build", "/plugin/build");
  await machine.run("restream-plugin", "check", "/plugin/build/list.so");
  await upstream.setList("dropped", [{ id: "a" }]);
  const pid = await mainPid();
  await machine.run("install", "-m", "644", "/plugin/build/list.so", "/usr/lib/restream/plugins/");
  await eventually(async () => (await fetcher("list")).health?.state === "live", { every: 100, what: "the fetcher" });
  const answer = await getJson("/channels/list?name=dropped");
  assert.deepEqual(answer.items.map(({ id }) => id), ["a"]);
  assert.equal(await mainPid(), pid);
});

step("a reload applies the configuration, and connections stay", async () => {
  const socket = await subscriber(URL);
  await socket.subscribe("list", { name: "dropped" });
  const pid = await mainPid();
  configure(`${listening("1s")}  nyt-world: {plugin: nyt-top}\n`);
  await machine.run("systemctl", "reload", "restream");
  await eventually(async () => (await fetcher("nyt-world")).keys?.["api-key"] === "missing", { every: 100, what: "the new fetcher" });
  assert.equal(await mainPid(), pid);
  await upstream.setList("dropped", [{ id: "a" }, { id: "b" }]);
  await socket.waitFor("new_item", ({ id }) => id === "b", { within: seconds(15) });
  await socket.close();
});

step("a reload of a bad configuration fails, says why, and changes nothing", async () => {
  const good = machine.read(CONFIG);
  configure("limits: {conections: 5}\n");
  const { code } = await machine.try("systemctl", "reload", "restream");
  assert.notEqual(code, 0);
  await machine.journalHas(/restream\.yaml:[0-9]+: unknown key 'conections' in limits; did you mean 'connections'/);
  assert.equal(await machine.property("ActiveState"), "active");
  assert.equal((await fetcher("nyt-world")).name, "nyt-world");
  machine.write(CONFIG, good);
  await machine.run("systemctl", "reload", "restream");
});

step("an upgrade keeps configuration, keys and state, and a client that resumes loses no event", async () => {
  const replica = new Replica("nyt-top", HOME);
  let socket = await subscriber(URL);
  await socket.subscribe("nyt-top", HOME);
  await change(socket, replica);
  const before = { position: replica.position, keys: await machine.run("sha256sum", "/etc/restream/keys.restream", "/etc/restream/master.key", CONFIG), pid: await mainPid() };
  const goodbye = socket.waitForClose(seconds(60));
  const upgrade = machine.run("apt-get", "install", "-y", "/newer/restream.deb", "/newer/restream-sdk.deb");
  const changing = setInterval(() => upstream.change(), 500);
  assert.equal((await goodbye).code, 1001);
  replica.follow(socket);
  await upgrade;
  clearInterval(changing);
  assert.match(await machine.run("dpkg-query", "-W", "-f", "${Version}", "restream"), /\+next1$/);
  await ready();
  assert.notEqual(await mainPid(), before.pid);
  socket = await subscriber(URL);
  const { resumed } = await socket.subscribe("nyt-top", HOME, { since: replica.position });
  assert.equal(resumed, true);
  await change(socket, replica);
  await equalToDaemon(socket, replica);
  assert.equal(await machine.run("sha256sum", "/etc/restream/keys.restream", "/etc/restream/master.key", CONFIG), before.keys);
  await socket.close();
});

step("a daemon that hangs is replaced by the watchdog, and what was seen is resumed", async () => {
  const replica = new Replica("nyt-top", HOME);
  const socket = await subscriber(URL);
  await socket.subscribe("nyt-top", HOME);
  await change(socket, replica);
  await machine.run("mkdir", "-p", "/run/systemd/system/restream.service.d");
  await machine.tryWithInput("[Service]\nWatchdogSec=3\n", "tee", "/run/systemd/system/restream.service.d/watchdog.conf");
  await machine.run("systemctl", "daemon-reload");
  await machine.restart();
  await ready();
  const pid = await mainPid();
  await machine.run("kill", "-STOP", pid);
  await eventually(async () => ![pid, "0"].includes(await mainPid()), { within: seconds(30), every: 200, what: "another process" });
  await machine.journalHas(/Watchdog timeout/);
  await ready();
  assert.equal(await machine.property("NRestarts"), "1");
  const again = await subscriber(URL);
  const { resumed } = await again.subscribe("nyt-top", HOME, { since: replica.position });
  assert.equal(resumed, true);
  await change(again, replica);
  await equalToDaemon(again, replica);
  await again.close();
  await machine.run("rm", "-r", "/run/systemd/system/restream.service.d");
  await machine.run("systemctl", "daemon-reload");
  await machine.restart();
});

step("the master key may be an encrypted credential, and the plain file taken away", async () => {
  await machine.run("systemd-creds", "encrypt", "--name=master", "/etc/restream/master.key", "/etc/restream/master.cred");
  await machine.run("mv", "/etc/restream/master.key", "/root/master.key");
  await machine.run("mkdir", "-p", "/etc/systemd/system/restream.service.d");
  machine.write(
    "/etc/systemd/system/restream.service.d/master.conf",
    "[Service]\nLoadCredential=\nLoadCredentialEncrypted=master:/etc/restream/master.cred\n",
  );
  const good = machine.read(CONFIG);
  machine.write(CONFIG, `${good}\nkeys: {master_key: "credential:master"}\n`);
  await machine.run("systemctl", "daemon-reload");
  await machine.restart();
  await ready();
  assert.equal((await fetcher("nyt-top")).keys["api-key"], "present");
  // As docs/operations.md has it for restream-keys.
  const encrypted = ["systemd-run", "--quiet", "--wait", "--pipe", "-p", "LoadCredentialEncrypted=master:/etc/restream/master.cred"];
  const list = await machine.run(...encrypted, "restream-keys", "--master-key", "credential:master", "list");
  assert.match(list, /nyt-top.*api-key/s);
  machine.write(CONFIG, good);
  await machine.run("rm", "-r", "/etc/systemd/system/restream.service.d");
  await machine.run("mv", "/root/master.key", "/etc/restream/master.key");
  await machine.run("systemctl", "daemon-reload");
  await machine.restart();
  await ready();
});

step("an empty configuration works, too", async () => {
  const good = machine.read(CONFIG);
  machine.write(CONFIG, "");
  await machine.restart();
  await ready();
  assert.equal((await fetcher("nyt-top")).keys["api-key"], "present");
  machine.write(CONFIG, good);
  await machine.restart();
  await ready();
});

step("a backup is made beside the running service, and put back", async () => {
  const replica = new Replica("nyt-top", HOME);
  let socket = await subscriber(URL);
  await socket.subscribe("nyt-top", HOME);
  await change(socket, replica);
  const pid = await mainPid();
  await machine.run("restreamctl", "backup");
  await machine.run("tar", "-C", "/", "--exclude=master.key", "-czf", "/root/backup.tar.gz", "var/lib/restream/backup", "etc/restream");
  assert.equal(await mainPid(), pid);
  await change(socket, replica); // after the backup
  const added = await machine.tryWithInput("a value set after the backup", "restream-keys", "set", "list", "late");
  assert.equal(added.code, 0, added.err);
  await eventually(async () => (await fetcher("list")).keys.late === "unused", { every: 100, what: "the later key" });
  await socket.close();

  // Everything is lost but the master key, which is kept elsewhere.
  await machine.run("cp", "-p", "/etc/restream/master.key", "/root/master.key");
  await machine.run("systemctl", "stop", "restream");
  await machine.run("sh", "-c", "rm -r /var/lib/restream/* /etc/restream/*");
  await machine.run("tar", "-C", "/", "-xzf", "/root/backup.tar.gz");
  await machine.run("cp", "-a", "/var/lib/restream/backup/.", "/var/lib/restream/");
  await machine.run("mv", "/root/master.key", "/etc/restream/master.key");
  await machine.restart();
  await ready();
  assert.equal((await fetcher("nyt-top")).keys["api-key"], "present");
  assert.equal((await fetcher("list")).keys.late, undefined);
  socket = await subscriber(URL);
  const { resumed } = await socket.subscribe("nyt-top", HOME, { since: replica.position });
  assert.equal(resumed, false); // its position is of events that never were
  const again = new Replica("nyt-top", HOME).follow(socket);
  await change(socket, again);
  await equalToDaemon(socket, again);
  await socket.close();
});

step("the socket unit is there for those who want it: a restart refuses nobody, and the first connection starts the service", async () => {
  assert.equal((await machine.try("systemctl", "is-enabled", "restream.socket")).out.trim(), "disabled");
  assert.notEqual((await machine.try("systemctl", "is-active", "restream.socket")).code, 0);
  await machine.run("systemctl", "stop", "restream");
  await machine.run("systemctl", "enable", "--now", "restream.socket");
  await ready(); // nobody else has started it
  assert.match(await machine.property("StatusText"), /^listening on 127\.0\.0\.1:8080;/);
  assert.deepEqual(await openings({ ofService: true }), [LOOPBACK_8080]);
  const refused = [];
  let asking = true;
  const asks = (async () => {
    for (; asking; await new Promise((resolve) => setTimeout(resolve, 20)))
      await fetch(`${URL}/livez`).catch((error) => error.cause?.code === "ECONNREFUSED" && refused.push(error.cause));
  })();
  const pid = await mainPid();
  await machine.restart();
  await ready();
  asking = false;
  await asks;
  assert.notEqual(await mainPid(), pid);
  assert.deepEqual(refused, []);
  await machine.run("systemctl", "disable", "--now", "restream.socket");
  await machine.restart();
  await ready();
});

step("an older keystore beside newer state is refused until it is accepted", async () => {
  await machine.run("cp", "-p", "/etc/restream/keys.restream", "/root/keys.restream");
  const added = await machine.tryWithInput("a newer value", "restream-keys", "set", "list", "later");
  assert.equal(added.code, 0, added.err);
  await machine.restart();
  await ready();
  await machine.run("systemctl", "stop", "restream");
  await machine.run("cp", "-p", "/root/keys.restream", "/etc/restream/keys.restream");
  await assert.rejects(machine.restart());
  await machine.journalHas(/--accept-rollback/);
  assert.equal(await machine.property("ActiveState"), "failed"); // and not tried over and over
  await machine.run("restreamd", "--accept-rollback");
  await machine.restart();
  await ready();
  assert.equal((await fetcher("nyt-top")).keys["api-key"], "present");
});

step("a stop sends subscribers away with 1001, and ends in time with code 0", async () => {
  const socket = await subscriber(URL);
  await socket.subscribe("nyt-top", HOME);
  const start = Date.now();
  await machine.run("systemctl", "stop", "restream");
  assert.ok(Date.now() - start < seconds(10), `${Date.now() - start} ms`);
  assert.equal((await socket.waitForClose()).code, 1001);
  assert.equal(await machine.property("Result"), "success");
  assert.equal(await machine.property("ExecMainStatus"), "0");
  await machine.restart();
  await ready();
});

step("no value of a key is in the journal", async () => {
  const { out } = await machine.try("journalctl", "--no-pager", "--output=export");
  assert.ok(out.length > 1000);
  assert.ok(!out.includes(KEY));
});

step("remove leaves configuration, keys and state; an install finds them again", async () => {
  // With the socket unit, too: nothing may be left that listens.
  await machine.run("systemctl", "stop", "restream");
  await machine.run("systemctl", "enable", "--now", "restream.socket");
  await ready();
  await machine.run("apt-get", "remove", "-y", "restream", "restream-sdk");
  assert.ok(!(await openings({ ofService: false })).includes(LOOPBACK_8080));
  assert.equal((await machine.try("systemctl", "is-active", "restream")).code === 0, false);
  await machine.run("test", "-s", "/etc/restream/keys.restream", "-a", "-s", "/etc/restream/master.key", "-a", "-s", CONFIG, "-a", "-d", "/var/lib/restream");
  await machine.run("apt-get", "install", "-y", "/newer/restream.deb");
  await ready();
  assert.equal((await fetcher("nyt-top")).keys["api-key"], "present");
});

step("purge removes them, and leaves nothing but the plugin that was dropped in", async () => {
  await machine.run("apt-get", "purge", "-y", "restream");
  for (const path of ["/etc/restream", "/var/lib/restream", "/usr/libexec/restream", "/usr/share/restream", "/usr/bin/restreamd"])
    assert.notEqual((await machine.try("test", "-e", path)).code, 0, path);
  assert.equal((await machine.run("find", "/usr/lib/restream", "-type", "f")).trim(), "/usr/lib/restream/plugins/list.so");
});
