// A plugin's file is written over where it is, while it is loaded: the host has a copy of its own.
import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { after, test } from "node:test";
import { eventually, pluginFile, Replica, sleep, startUpstream } from "./harness.mjs";
import { by, fetcher, file, following, hosts, overwrite, start, unharmed } from "./hot.mjs";

const upstream = await startUpstream();
after(() => upstream.stop());

test("again and again: each version takes over, with no gap, nothing twice, and no host left over", async () => {
  const daemon = await start(upstream, "v1");
  const { ino } = statSync(file(daemon));
  const client = await following(upstream, daemon, "often");
  for (const version of ["2", "1", "2", "1"]) {
    overwrite(daemon, `v${version}`);
    assert.equal(statSync(file(daemon)).ino, ino);
    await client.waitFor("updated_item", by(version));
  }
  unharmed(client);
  new Replica("hot", { name: "often" }).follow(client);
  await eventually(() => hosts(daemon).length === 1, { what: "one host alone" });
  await daemon.stop();
});

test("by a version that fails: the one before goes on", async () => {
  const daemon = await start(upstream, "v1");
  const client = await following(upstream, daemon, "fails");
  overwrite(daemon, "broken");
  await daemon.waitForLine(/plugin file refused.*SIGKILL.*serving=1/);
  await upstream.setList("fails", [{ id: "1", n: 1 }]);
  await client.waitFor("updated_item", (message) => message.item.n === 1 && message.item.by === "1");
  unharmed(client);
  await daemon.stop();
});

for (const [how, reopens] of Object.entries({ "in one go": false, "with a close after each piece": true })) {
  test(`slowly, piece by piece, ${how}: no piece is loaded or complained of; the whole is`, async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "pieces");
    const bytes = readFileSync(pluginFile("hot-v2"));
    const part = Math.ceil(bytes.length / 5);
    let fd = openSync(file(daemon), "w");
    for (let begin = 0; begin < bytes.length; begin += part) {
      if (begin > 0) await sleep(400); // longer than a finished file rests, and far less than one that is written to
      if (begin > 0 && reopens) fd = openSync(file(daemon), "a");
      writeSync(fd, bytes.subarray(begin, begin + part));
      if (reopens) closeSync(fd);
    }
    if (!reopens) closeSync(fd);
    await client.waitFor("updated_item", by("2"));
    assert.doesNotMatch(daemon.log(), /refused/);
    unharmed(client);
    assert.equal((await fetcher(daemon)).health.last_error, null);
    await daemon.stop();
  });
}
