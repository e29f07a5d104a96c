// What a plugin does to itself costs its own polls and nobody else's.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { eventually, seconds, startDaemon, startUpstream } from "./harness.mjs";

describe("a misbehaving plugin", async () => {
  const upstream = await startUpstream();
  const daemon = await startDaemon({
    upstream,
    plugins: ["list", "moody"],
    config: { plugins: { call_timeout: "3s" } },
  });
  after(async () => {
    await daemon.stop();
    await upstream.stop();
  });

  async function following(fetcher, name) {
    await upstream.setList(name, [{ id: "1", n: 0 }]);
    const client = await daemon.subscriber();
    await client.subscribe(fetcher, { name });
    await client.waitForItems(fetcher, { name }, ["1"]);
    return client;
  }
  const health = async (fetcher) => {
    const answer = await fetch(`${daemon.url}/fetchers/${fetcher}`);
    return (await answer.json()).health;
  };
  const failing = (reason) => (message) => message.state === "failing" && message.reason === reason;

  test("that dies fails its polls, is named with the signal, and comes back", async () => {
    const bystander = await following("list", "calm");
    const victim = await following("moody", "victim");
    await upstream.setList("victim", [{ id: "1", do: "die" }]);
    await victim.waitFor("status", failing("plugin_crashed"));

    await upstream.setList("calm", [{ id: "1", n: 1 }]);
    await bystander.waitFor("updated_item", (message) => message.item.n === 1);

    await upstream.setList("victim", [{ id: "1", n: 2 }]);
    await victim.waitFor("status", (message) => message.state === "live");
    await victim.waitFor("updated_item", (message) => message.item.n === 2);
    const seen = await health("moody");
    assert.ok(seen.restarts >= 1);
    assert.match(seen.last_error, /SIGKILL/);
    assert.equal((await health("list")).restarts, 0);
    assert.equal(bystander.messages.filter((message) => message.type === "status" && message.state === "failing").length, 0);
  });

  test("that does not return is killed at the deadline, and its other calls are tried again", async () => {
    const patient = await following("moody", "patient");
    const stuck = await following("moody", "stuck");
    const before = patient.messages.length;
    await upstream.setList("stuck", [{ id: "1", do: "hang" }]);
    // So slow that a call of the patient channel is under way whenever the host is killed.
    await upstream.setList("patient", [{ id: "1", n: 5 }]);
    await upstream.delay("/list/patient", 900);
    await stuck.waitFor("status", failing("plugin_timeout"), { within: seconds(20) });
    await patient.waitFor("updated_item", (message) => message.item.n === 5, { within: seconds(20) });
    await upstream.setList("stuck", [{ id: "1", n: 9 }]);
    await stuck.waitFor("updated_item", (message) => message.item.n === 9, { within: seconds(20) });
    const complaints = patient.messages.slice(before).filter((message) => message.type === "status");
    assert.deepEqual(complaints, [], "the others heard nothing of it");
  });

  test("that prints is found in the log under its name", async () => {
    await upstream.setList("printer", [{ id: "1", do: "print" }]);
    const client = await daemon.subscriber();
    await client.subscribe("moody", { name: "printer" });
    await client.waitForItems("moody", { name: "printer" }, ["1"]);
    await eventually(() => /printed by the plugin.*plugin=moody/.test(daemon.log()), { what: "the printed line in the log" });
  });
});
