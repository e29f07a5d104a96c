// A real API that changes by itself: the connections of a real nats-server.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, Process, Replica, startDaemon, temporaryFolder } from "./harness.mjs";

// Debian installs the server where only root's path looks.
async function startNats() {
  const folder = temporaryFolder();
  const words = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", folder];
  const command = 'PATH="$PATH:/usr/sbin:/usr/local/sbin"; exec nats-server "$@"';
  const server = new Process("/bin/sh", ["-c", command, "nats-server", ...words]);
  await server.waitForLine(/Server is ready/);
  const file = await eventually(() => readdirSync(folder).find((name) => name.endsWith(".ports")), {
    what: "the file in which nats-server tells its ports",
  });
  const ports = JSON.parse(readFileSync(join(folder, file), "utf8"));
  return { monitoring: ports.monitoring[0], port: Number(new URL(ports.nats[0]).port), stop: () => server.signal("SIGTERM") };
}

// A client of the server, in the little of its protocol that is needed here.
async function natsClient(port, name) {
  const socket = net.connect(port, "127.0.0.1");
  let heard = "";
  socket.on("data", (data) => {
    heard += data;
    if (data.includes("PING")) socket.write("PONG\r\n");
  });
  const ping = async () => {
    const before = heard.split("PONG").length;
    socket.write("PING\r\n");
    await eventually(() => heard.split("PONG").length > before, { what: "an answer to PING" });
  };
  await eventually(() => heard.startsWith("INFO "), { what: "a greeting from nats-server" });
  socket.write(`CONNECT ${JSON.stringify({ verbose: false, pedantic: false, name, lang: "test", version: "0" })}\r\n`);
  await ping();
  return {
    publish: async (subject, text) => {
      socket.write(`PUB ${subject} ${Buffer.byteLength(text)}\r\n${text}\r\n`);
      await ping();
    },
    close: () => socket.end(),
  };
}

test("connections come as new items, their traffic as updates, and go as removed items", async () => {
  const nats = await startNats();
  const daemon = await startDaemon({
    plugins: ["nats-connections"],
    config: { fetchers: { "nats-connections": { origin: nats.monitoring, allow_private: true } } },
  });
  const client = await daemon.subscriber();
  await client.subscribe("nats-connections");
  await client.waitFor("status", ({ state }) => state === "live");
  assert.equal(new Replica("nats-connections", {}).follow(client).items.size, 0);

  // A poll may find a connection that has not said its name yet; then that comes as an update.
  const named = async (name) => {
    const isNamed = () => new Replica("nats-connections", {}).follow(client).list().find((item) => item.name === name);
    const { cid } = await eventually(isNamed, { what: `a connection of the name ${name}` });
    return client.waitFor("new_item", ({ id }) => id === String(cid));
  };
  const first = await natsClient(nats.port, "first");
  const opened = await named("first");
  assert.equal(opened.id, String(opened.item.cid));
  const second = await natsClient(nats.port, "second");
  const other = await named("second");
  await first.publish("greetings", "hello");
  const update = await client.waitFor("updated_item", ({ id, item }) => id === opened.id && item.in_msgs === 1);
  assert.ok(update.patch.some(({ path, value }) => path === "/in_msgs" && value === 1));
  await client.expectNone("updated_item", 0, ({ id, patch }) => id === other.id && !patch.some(({ path }) => path === "/name"));

  first.close();
  await client.waitFor("removed_item", ({ id }) => id === opened.id);
  const replica = new Replica("nats-connections", {}).follow(client);
  assert.deepEqual(replica.list().map(({ name }) => name), ["second"]);
  second.close();
  await client.waitFor("removed_item", ({ id }) => id === other.id);

  nats.stop();
  const { reason } = await client.waitFor("status", ({ state }) => state === "failing");
  assert.equal(reason, "unreachable");
  await daemon.stop();
});
