// TLS: https and wss by the real curl, openssl and `ws`.
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { curl, Daemon, eventually, Process, Replica, run, seconds, sleep, startUpstream, stopwatch, temporaryFolder } from "./harness.mjs";
import { subscriber as connect } from "./subscriber.mjs";

const upstream = await startUpstream();
const folder = temporaryFolder();
const certificate = join(folder, "tls.crt");
const key = join(folder, "tls.key");

// A self-signed certificate for 127.0.0.1; it takes its place at once, as a renewal does.
async function makeCertificate(name) {
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = await run("openssl", [...words, ...names, "-keyout", `${key}.new`, "-out", `${certificate}.new`]);
  assert.equal(made.code, 0, made.err);
  renameSync(`${key}.new`, key);
  renameSync(`${certificate}.new`, certificate);
}
await makeCertificate("first");

const config = { listen: { tls: { certificate, key } } };
// Its own look at /readyz is by plain HTTP, so it is not waited for that way.
const daemon = await new Daemon({ upstream, config }).start({ ready: false });
const url = daemon.url.replace("http:", "https:");
const trust = () => ["--cacert", certificate];
await eventually(async () => (await curl(...trust(), `${url}/readyz`)).status === 200, { what: "a ready daemon" });

const subscriber = () => connect(url, { options: { rejectUnauthorized: false } });
const commonName = (port = daemon.port) =>
  new Promise((resolve, reject) => {
    const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on("error", reject);
  });

test("curl speaks https, keeps its connection, and sees HTTP/1.1 negotiated", async () => {
  const answer = await curl(...trust(), "-v", `${url}/livez`, `${url}/fetchers`);
  assert.equal(answer.code, 0, answer.err);
  assert.match(answer.err, /TLSv1\.[23]/);
  assert.match(answer.err, /ALPN: server accepted http\/1\.1/);
  assert.match(answer.err, /Re-using existing connection/);
  for (const version of ["1.2", "1.3"]) {
    const one = await curl(...trust(), `--tlsv${version}`, "--tls-max", version, `${url}/livez`);
    assert.equal(one.status, 200, version + one.err);
  }
});

test("old versions and weak ciphers are refused", async () => {
  const attempts = [["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"]];
  for (const words of attempts) {
    const tried = new Process("openssl", ["s_client", "-connect", `127.0.0.1:${daemon.port}`, ...words], { input: "Q\n" });
    await tried.waitForEnd();
    assert.match(tried.output(), /Cipher is \(NONE\)/, words.join(" "));
  }
});

test("a WebSocket and an event stream work over TLS", async () => {
  await upstream.setList("tls", [{ id: "a", n: 0 }]);
  const client = await subscriber();
  const replica = new Replica("list-complete", { name: "tls" });
  await client.subscribe("list-complete", { name: "tls" });
  await client.waitForItems("list-complete", { name: "tls" }, ["a"]);
  const stream = new Process("curl", ["-sS", "-N", ...trust(), `${url}/events?channel=list-complete%3Fname%3Dtls`]);
  await stream.waitForLine(/^event: snapshot$/m);
  await upstream.setList("tls", [{ id: "a", n: 1 }]);
  await stream.waitForLine(/^event: updated_item$/m);
  await eventually(() => replica.follow(client).items.get("a")?.n === 1, { what: "the change" });
  client.socket.ping("still there?");
  await new Promise((resolve) => client.socket.once("pong", resolve));
  assert.ok([1000, 1005].includes((await client.close()).code));
  stream.signal("SIGTERM");
});

test("a reader that stops and goes on gets a large snapshot whole", async () => {
  const items = Array.from({ length: 200 }, (_, n) => ({ id: String(n), text: String(n).repeat(10_000).slice(0, 20_000) }));
  await upstream.setList("large", items);
  await eventually(async () => (await curl(...trust(), `${url}/channels/list-complete?name=large`)).json().items.length === 200, {
    what: "the items",
  });
  const socket = tls.connect({ host: "127.0.0.1", port: daemon.port, rejectUnauthorized: false });
  socket.write("GET /channels/list-complete?name=large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  let text = "";
  socket.on("data", (data) => {
    text += data;
    socket.pause();
    setTimeout(() => socket.resume(), 2);
  });
  await sleep(500);
  await new Promise((resolve, reject) => socket.on("end", resolve).on("error", reject));
  assert.deepEqual(JSON.parse(text.slice(text.indexOf("\r\n\r\n"))).items.map(({ item }) => item), items);
});

test("plain HTTP on the TLS port is told so", async () => {
  const answer = await curl(`http://127.0.0.1:${daemon.port}/livez`);
  assert.equal(answer.status, 400, answer.err);
  assert.match(answer.json().message, /TLS.*https/);
});

test("a handshake that is not finished in 5 s is hung up on, and so is nonsense", async () => {
  const hanging = net.connect(daemon.port, "127.0.0.1");
  hanging.write(Buffer.from([0x16, 0x03, 0x01]));
  const [start, time] = [Date.now(), stopwatch()];
  const nonsense = net.connect(daemon.port, "127.0.0.1");
  nonsense.write("\x00\x01\x02nonsense".repeat(10));
  nonsense.resume();
  await new Promise((resolve) => nonsense.on("close", resolve).on("error", () => {}));
  assert.ok(time() < seconds(3), `${time()} ms`);
  hanging.resume();
  await new Promise((resolve) => hanging.on("close", resolve).on("error", () => {}));
  assert.ok(Date.now() - start >= 4_500 && Date.now() - start < seconds(12), `${Date.now() - start} ms`);
});

test("SIGHUP: new connections get the new certificate, those that are open go on; a bad one changes nothing", async () => {
  const client = await subscriber();
  assert.equal(await commonName(), "first");
  await makeCertificate("second");
  daemon.signal("SIGHUP");
  await eventually(async () => (await commonName()) === "second", { what: "the new certificate" });
  await client.subscribe("list", { name: "tls" });
  writeFileSync(certificate, "not a certificate\n");
  daemon.signal("SIGHUP");
  await daemon.waitForLine(/certificate cannot be read.*tls\.crt/);
  assert.equal(await commonName(), "second");
  await client.close();
});

test("a start with a certificate that cannot be used is refused with code 2", async () => {
  await makeCertificate("third");
  const other = new Daemon({ upstream, config });
  writeFileSync(key, "nonsense\n");
  const wrongKey = await other.refuse("--check");
  assert.equal(wrongKey.code, 2, wrongKey.text);
  assert.match(wrongKey.text, /listen\.tls\.key: .*tls\.key cannot be used/);
  other.config.listen.tls.certificate = join(folder, "missing.crt");
  other.writeConfig();
  const missing = await other.refuse();
  assert.equal(missing.code, 2, missing.text);
  assert.match(missing.text, /listen\.tls\.certificate: .*missing\.crt cannot be used: .*[Nn]o such file/);
});
