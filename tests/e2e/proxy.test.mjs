// Behind a proxy: the real nginx, for the way of real clients, and curl that says what a proxy would.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { curl, eventually, freePort, Process, run, startDaemon, startUpstream, temporaryFolder } from "./harness.mjs";
import { subscriber as connect } from "./subscriber.mjs";

const upstream = await startUpstream();
const daemon = await startDaemon({
  upstream,
  config: { listen: { trusted_proxies: ["127.0.0.1"] }, limits: { connections_per_address: 2, channels_per_address: 1 }, log: { level: "debug" } },
});
const plain = await startDaemon({ upstream, config: { limits: { connections_per_address: 2 } } });
const front = await startDaemon({ upstream, config: { listen: { trusted_proxies: ["127.0.0.1"] } } });
const forwarded = (address, more = {}) => ({ "x-forwarded-for": address, ...more });
const open = (url, headers, origin) => connect(url, { headers, origin });

// nginx with an upstream that keeps connections; TLS ends here.
async function startNginx() {
  const folder = temporaryFolder();
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const made = await run("openssl", [...words, "-subj", "/CN=127.0.0.1", "-keyout", join(folder, "k"), "-out", join(folder, "c")]);
  assert.equal(made.code, 0, made.err);
  const port = await freePort();
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off; master_process off; pid ${folder}/pid; error_log stderr; events {}
    http {
      access_log off; client_body_temp_path ${folder}/1; proxy_temp_path ${folder}/2; fastcgi_temp_path ${folder}/3;
      uwsgi_temp_path ${folder}/4; scgi_temp_path ${folder}/5;
      map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
      upstream restream { server 127.0.0.1:${front.port}; keepalive 4; }
      server {
        listen 127.0.0.1:${port} ssl; ssl_certificate ${folder}/c; ssl_certificate_key ${folder}/k;
        location / {
          proxy_pass http://restream; proxy_http_version 1.1; proxy_read_timeout 1h;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
          proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
          proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }
      }
    }\n`,
  );
  const nginx = new Process("/usr/sbin/nginx", ["-c", join(folder, "nginx.conf"), "-p", folder]);
  const url = `https://127.0.0.1:${port}`;
  await eventually(async () => (await curl("-k", `${url}/livez`)).status === 200, { what: "an nginx" }).catch((error) => {
    throw new Error(`${error.message}\n${nginx.log()}`);
  });
  return { url, nginx };
}

test("limits count the client behind the proxy, not the proxy", async () => {
  const first = [await open(daemon.url, forwarded("203.0.113.1")), await open(daemon.url, forwarded("203.0.113.1"))];
  await assert.rejects(open(daemon.url, forwarded("203.0.113.1")), /503/);
  const other = await open(daemon.url, forwarded("203.0.113.2"));
  // What stands left of the client was written by the client.
  await assert.rejects(open(daemon.url, forwarded("198.51.100.9, 203.0.113.1")), /503/);
  const refused = await curl("-H", "X-Forwarded-For: 203.0.113.1", `${daemon.url}/channels`);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers["retry-after"], "5");
  await first.pop().close();
  await eventually(
    async () => (await curl("-H", "X-Forwarded-For: 203.0.113.1", `${daemon.url}/channels`)).status === 200,
    { what: "a place again" },
  );

  await first[0].subscribe("list", { name: "a" });
  first[0].send({ action: "subscribe", channel: "list", params: { name: "b" } });
  assert.equal((await first[0].waitFor("error")).code, "too_many_channels");
  await other.subscribe("list", { name: "b" });
  await first[0].close();
  await other.close();
});

test("who is no trusted proxy is not believed", async () => {
  // What started the daemon asked it whether it is ready, and keeps that connection for some seconds.
  const patiently = (address) => eventually(() => open(plain.url, forwarded(address)).catch(() => null));
  const two = [await patiently("203.0.113.1"), await patiently("203.0.113.2")];
  await assert.rejects(open(plain.url, forwarded("203.0.113.3")), /503/);
  await Promise.all(two.map((one) => one.close()));
  const told = { "x-forwarded-proto": "https", "x-forwarded-host": "app.example" };
  await eventually(async () => (await curl(`${plain.url}/channels`)).status === 200, { what: "a place again" });
  await assert.rejects(open(plain.url, told, "https://app.example"), /403/);
});

test("the log names the client, not the proxy", async () => {
  const client = await open(daemon.url, forwarded("203.0.113.7"));
  for (let i = 0; i < 10; ++i) client.send("nonsense");
  assert.equal((await client.waitForClose()).code, 1008);
  const [, address] = await daemon.waitForLine(/closing a WebSocket.*address=(\S+) code=1008/);
  assert.equal(address, "203.0.113.7");
});

test("a page's origin is compared with what the client connected to", async () => {
  const told = (proto) => forwarded("203.0.113.5", { "x-forwarded-proto": proto, "x-forwarded-host": "app.example" });
  const page = await open(daemon.url, told("https"), "https://app.example");
  await page.close();
  await assert.rejects(open(daemon.url, told("http"), "https://app.example"), /403/);
  await assert.rejects(open(daemon.url, told("https"), "https://evil.example"), /403/);
});

test("behind nginx with TLS, WebSockets and event streams flow, and same-origin pages may connect", async () => {
  const { url, nginx } = await startNginx();
  await upstream.setList("proxied", [{ id: "a", n: 0 }]);
  const socket = await connect(url, { origin: url, options: { rejectUnauthorized: false } });
  await socket.subscribe("list-complete", { name: "proxied" });
  await socket.waitForItems("list-complete", { name: "proxied" }, ["a"]);
  await assert.rejects(connect(url, { origin: "https://evil.example", options: { rejectUnauthorized: false } }), /403/);
  const stream = new Process("curl", ["-sS", "-k", "-N", `${url}/events?channel=list-complete%3Fname%3Dproxied`]);
  await stream.waitForLine(/^event: snapshot$/m);
  await upstream.setList("proxied", [{ id: "a", n: 1 }]);
  await stream.waitForLine(/^event: updated_item$/m);
  await socket.waitFor("updated_item");
  for (let i = 0; i < 5; i += 1) assert.equal((await curl("-k", `${url}/fetchers`)).status, 200);
  stream.signal("SIGTERM");
  await socket.close();
  nginx.signal("SIGTERM");
  await nginx.waitForEnd();
});
