// Plugins come, change and go while the daemon runs, and subscribers stay connected.
import assert from "node:assert/strict";
import { readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BUILD, eventually, Replica, run, seconds, sleep, startDaemon, startUpstream, stopwatch } from "./harness.mjs";
import { by, fetcher, file, following, hosts, isStatus, overwrite, PROMISE, rename, start, unharmed } from "./hot.mjs";

const ROUNDS = Number(process.env.RESTREAM_TEST_REPLACEMENTS ?? 10);

const upstream = await startUpstream();
after(() => upstream.stop());

describe("a new file", () => {
  test("serves subscribers within 2 seconds of the end of its copy; before, nobody knew of it", async () => {
    const daemon = await startDaemon({ plugins: [] });
    await upstream.setList("fresh", [{ id: "1" }]);
    const client = await daemon.subscriber();
    client.send({ action: "subscribe", channel: "hot", params: { name: "fresh" } });
    await client.waitFor("error", ({ code }) => code === "unknown_channel");
    overwrite(daemon, "v1");
    const copied = stopwatch();
    const ask = async () => {
      client.send({ action: "subscribe", channel: "hot", params: { name: "fresh" } });
      return (await client.waitFor(null, ({ type }) => type === "subscribed" || type === "error")).type === "subscribed";
    };
    await eventually(ask, { what: "a subscription to the new channel" });
    const time = copied();
    assert.ok(time < PROMISE, `it took ${time} ms`);
    // The default rules hold for it: no private addresses.
    await client.waitFor("status", ({ state, message }) => state === "failing" && /private/.test(message));
    assert.equal((await fetch(`${daemon.url}/readyz`)).status, 200);
    await daemon.stop();
  });

  test("of a configured fetcher delivers items within 2 seconds", async () => {
    const daemon = await start(upstream);
    assert.deepEqual((await fetcher(daemon)).health.reason, "removed");
    await upstream.setList("items", [{ id: "1" }]);
    const client = await daemon.subscriber();
    rename(daemon, "v1");
    const copied = stopwatch();
    const ask = async () => {
      client.send({ action: "subscribe", channel: "hot", params: { name: "items" } });
      return (await client.waitFor(null, ({ type }) => type === "subscribed" || type === "error")).type === "subscribed";
    };
    await eventually(ask, { what: "a subscription" });
    await client.waitFor("new_item", by("1"));
    const time = copied();
    assert.ok(time < PROMISE, `it took ${time} ms`);
    await daemon.stop();
  });
});

test("a new file that crashes when asked for its metadata is named, and a good one in its place serves", async () => {
  const daemon = await start(upstream);
  rename(daemon, "broken");
  await daemon.waitForLine(/plugin host ended.*plugin=hot.*SIGKILL/);
  const { health } = await fetcher(daemon);
  assert.deepEqual([health.state, health.reason], ["failing", "plugin_crashed"]);
  assert.match(health.last_error, /SIGKILL/);
  rename(daemon, "v1");
  const copied = stopwatch();
  await eventually(async () => (await fetcher(daemon)).health.state === "live", { what: "hot" });
  assert.ok(copied() < PROMISE, `it took ${copied()} ms`);
  await following(upstream, daemon, "mended");
  await daemon.stop();
});

describe("a replaced file", async () => {
  test("takes over with subscribers connected and the log going on", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "one");
    const bystander = await following(upstream, daemon, "two");
    const [first] = hosts(daemon);
    rename(daemon, "v2");
    const copied = stopwatch();
    const { type } = await client.waitFor(null, by("2"));
    const time = copied();
    assert.ok(time < PROMISE, `it took ${time} ms`);
    assert.equal(type, "updated_item", "the log goes on: the item is not new");
    await bystander.waitFor("updated_item", by("2"));
    await eventually(() => hosts(daemon).length === 1 && hosts(daemon)[0] !== first, { what: "one host, a new one" });
    for (const [name, who] of Object.entries({ one: client, two: bystander })) {
      unharmed(who);
      new Replica("hot", { name }).follow(who);
    }
    assert.match(daemon.log(), /plugin replaced.*from=1 to=2/);
    assert.equal((await fetcher(daemon)).version, "2");
    await daemon.stop();
  });

  test("serves every fetcher that the configuration makes of it", async () => {
    const twin = { plugin: "hot", origin: upstream.url, allow_private: true, poll_interval: "100ms", force_interval: true };
    const daemon = await start(upstream, "v1", { fetchers: { twin } });
    await upstream.setList("twins", [{ id: "1" }]);
    const client = await daemon.subscriber();
    for (const name of ["hot", "twin"]) {
      await client.subscribe(name, { name: "twins" });
      await client.waitForItems(name, { name: "twins" }, ["1"]);
    }
    rename(daemon, "v2");
    for (const name of ["hot", "twin"])
      await client.waitFor("updated_item", (message) => message.channel === name && message.item.by === "2");
    unharmed(client);
    await eventually(() => hosts(daemon).length === 1, { what: "one host for both" });
    await daemon.stop();
  });

  test("lets calls under way finish: no poll fails, none is told twice", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "slow");
    await upstream.delay("/list/slow", 1500);
    await sleep(300); // a poll is under way now, and will be for more than a second
    await upstream.setList("slow", [{ id: "1", n: 1 }]);
    rename(daemon, "v2");
    await client.waitFor("updated_item", by("2"));
    await upstream.heal();
    await upstream.delay("/list/slow", 0);
    new Replica("hot", { name: "slow" }).follow(client);
    unharmed(client);
    await eventually(() => hosts(daemon).length === 1, { what: "the old host's end" });
    await daemon.stop();
  });

  const failures = {
    broken: /SIGKILL/,
    slow: /did not return within 2 seconds/,
    other: /its name is 'list'/,
    wrong: /poll_interval/,
  };
  test("that fails leaves the old one serving, and the log names file, reason and both versions", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "kept");
    let n = 0;
    for (const [version, reason] of Object.entries(failures)) {
      const logged = daemon.log().length;
      rename(daemon, version);
      const line = await eventually(() => /plugin file refused.*/.exec(daemon.log().slice(logged))?.[0], {
        what: `a line about ${version}`,
      });
      assert.match(line, reason);
      assert.match(line, /file=\S*hot\.so/);
      assert.match(line, /serving=1/);
      assert.match(line, version === "wrong" ? /refused=8/ : version === "other" ? /refused=7/ : /refused="no version"/);
      ++n;
      await upstream.setList("kept", [{ id: "1", n }]);
      await client.waitFor("updated_item", (message) => message.item.n === n && message.item.by === "1");
      const { health, version: serving } = await fetcher(daemon);
      assert.equal(serving, "1");
      assert.equal(health.state, "live");
      assert.match(health.last_error, reason);
      assert.equal(hosts(daemon).length, 1);
    }
    assert.equal(daemon.log().match(/plugin file refused/g).length, Object.keys(failures).length, "each is told once");
    // The next good one takes over, and says nothing of the past.
    rename(daemon, "unversioned");
    await client.waitFor("updated_item", by(""));
    assert.match(daemon.log(), /plugin replaced.*from=1 to="no version"/);
    assert.equal((await fetcher(daemon)).health.last_error, null);
    unharmed(client);
    await daemon.stop();
  });

  test("that fails leaves the old one, which is started again from what was kept of it when it crashes", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "again");
    rename(daemon, "broken");
    await daemon.waitForLine(/plugin file refused/);
    for (let n = 1; n <= 2; ++n) {
      const [pid] = await eventually(() => hosts(daemon).length === 1 && hosts(daemon), { what: "a host" });
      process.kill(Number(pid), "SIGKILL");
      await eventually(() => !hosts(daemon).includes(pid), { what: "its end" });
      await upstream.setList("again", [{ id: "1", n }]);
      await client.waitFor("updated_item", (message) => message.item.n === n && message.item.by === "1");
    }
    assert.match((await fetcher(daemon)).health.last_error, /SIGKILL/);
    assert.deepEqual(readdirSync(daemon.config.state.directory).filter((name) => name.endsWith(".so")), []);
    rename(daemon, "v2");
    await client.waitFor("updated_item", by("2"));
    new Replica("hot", { name: "again" }).follow(client);
    await daemon.stop();
  });

  test("may take other params: channels that it does not take are refused, others go on; the way back resumes them", async () => {
    const daemon = await start(upstream, "v1");
    const stays = await following(upstream, daemon, "apples");
    const ends = await following(upstream, daemon, "zebras");
    rename(daemon, "strict");
    const status = await ends.waitFor("status", isStatus("unavailable", "refused"));
    assert.match(status.message, /name/);
    const { item } = await stays.waitFor("updated_item", by("3"));
    assert.equal(item.lang, "en", "a new param's default reaches the plugin");
    // The same params are the same channel still.
    const newcomer = await daemon.subscriber();
    await newcomer.subscribe("hot", { name: "apples" });
    await newcomer.waitForItems("hot", { name: "apples" }, ["1"]);
    const listed = (await daemon.get("/channels")).json.channels.map(({ id }) => id);
    assert.deepEqual(listed.filter((id) => id.includes("apples")), ["hot?name=apples"]);
    newcomer.send({ action: "subscribe", channel: "hot", params: { name: "zebras" } });
    await newcomer.waitFor("error", ({ code }) => code === "invalid_params");
    ends.forget();
    rename(daemon, "v2");
    await ends.waitFor("updated_item", by("2"));
    await stays.waitFor("updated_item", by("2"));
    new Replica("hot", { name: "zebras" }).follow(ends);
    new Replica("hot", { name: "apples" }).follow(stays);
    assert.ok(!stays.messages.some(({ state }) => state === "unavailable"));
    await daemon.stop();
  });

  test("may have another id_field and be complete: what it fetches is committed by its own rules", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "keyed", [{ id: "1" }, { id: "2" }]);
    rename(daemon, "keyed");
    await client.waitFor("new_item", ({ id }) => id === "key-1");
    await client.waitFor("removed_item", ({ id }) => id === "1");
    await client.waitFor("removed_item", ({ id }) => id === "2");
    const replica = new Replica("hot", { name: "keyed" }).follow(client);
    assert.deepEqual([...replica.items.keys()].sort(), ["key-1", "key-2"]);
    await daemon.stop();
  });

  test(`${ROUNDS} times under a subscriber: no gap, nothing twice, no host left over`, async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "often");
    for (let round = 0; round < ROUNDS; ++round) {
      const version = round % 2 === 0 ? "2" : "1";
      rename(daemon, `v${version}`);
      await upstream.setList("often", [{ id: "1", round }, { id: `of-${round}` }]);
      await client.waitFor("new_item", ({ id }) => id === `of-${round}`);
      await client.waitFor(null, by(version));
      client.forget();
    }
    const replica = new Replica("hot", { name: "often" }).follow(client);
    assert.equal(replica.events.filter(({ type }) => type === "new_item").length, ROUNDS + 1);
    unharmed(client);
    await eventually(() => hosts(daemon).length === 1, { what: "one host alone" });
    assert.equal((await fetcher(daemon)).health.restarts, 0);
    await daemon.stop();
  });
});

describe("a removed file", () => {
  test("ends its channels with a status; putting it back resumes them on the same connection and log", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "gone");
    client.forget();
    unlinkSync(file(daemon));
    const status = await client.waitFor("status", isStatus("unavailable", "removed"));
    assert.equal(status.next_poll, null);
    await eventually(() => hosts(daemon).length === 0, { what: "no host" });
    assert.equal((await fetcher(daemon)).health.reason, "removed");
    assert.equal((await fetch(`${daemon.url}/readyz`)).status, 200);
    await upstream.setList("gone", [{ id: "1", n: 2 }]);
    // Who comes now gets what is known, and the state.
    const late = await daemon.subscriber();
    await late.subscribe("hot", { name: "gone" });
    assert.equal((await late.waitFor("snapshot")).items.length, 1);
    await late.waitFor("status", isStatus("unavailable", "removed"));
    await client.expectNone("updated_item", 500);

    overwrite(daemon, "v2");
    const copied = stopwatch();
    for (const who of [client, late]) {
      await who.waitFor("updated_item", (message) => message.item.n === 2 && message.item.by === "2");
      await who.waitFor("status", isStatus("live"));
      new Replica("hot", { name: "gone" }).follow(who);
    }
    const time = copied();
    assert.ok(time < PROMISE, `it took ${time} ms`);
    await daemon.stop();
  });

  test("and written anew at once is a replacement: nobody hears of it", async () => {
    const daemon = await start(upstream, "v1");
    const client = await following(upstream, daemon, "anew");
    unlinkSync(file(daemon));
    overwrite(daemon, "v2");
    await client.waitFor("updated_item", by("2"));
    assert.deepEqual(client.messages.filter(({ state }) => state === "unavailable"), []);
    await daemon.stop();
  });
});

// Until it is held.
async function killFiveTimes(daemon) {
  for (let crash = 1; crash <= 5; ++crash) {
    const [pid] = await eventually(() => hosts(daemon).length === 1 && hosts(daemon), { within: seconds(30), what: "a host" });
    await eventually(async () => (await fetcher(daemon)).health.state === "live", { within: seconds(30), what: "life" });
    process.kill(Number(pid), "SIGKILL");
    await eventually(() => !hosts(daemon).includes(pid), { what: "its end" });
  }
}

test("a held plugin is released by the operator", async () => {
  const daemon = await start(upstream, "v1");
  const client = await following(upstream, daemon, "released");
  await killFiveTimes(daemon);
  await client.waitFor("status", isStatus("unavailable", "held"));
  client.forget();
  const socket = join(daemon.config.state.directory, "control.sock");
  const status = await run(join(BUILD, "bin/restreamctl"), ["--socket", socket, "status"]);
  const [, hint] = /it crashed too often: (.*)$/m.exec(status.out);
  const released = await run("sh", ["-c", `PATH=${BUILD}/bin:$PATH; ${hint}`]);
  assert.equal(released.code, 0, released.err);
  await client.waitFor("status", isStatus("live"));
  await upstream.setList("released", [{ id: "1", n: 2 }]);
  await client.waitFor("updated_item", ({ item }) => item.n === 2);
  await daemon.stop();
});

test("a held plugin is released when its file changes", async () => {
  const daemon = await start(upstream, "v1");
  const client = await following(upstream, daemon, "held");
  await killFiveTimes(daemon);
  await client.waitFor("status", isStatus("unavailable", "held"));
  client.forget();
  overwrite(daemon, "v2");
  await client.waitFor("updated_item", by("2"));
  await client.waitFor("status", isStatus("live"));
  await daemon.stop();
});
