// /asyncapi.json and /openapi.json, as the parsers of those formats read them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { curl, startDaemon, startUpstream } from "./harness.mjs";

// They are large, and nothing else needs them.
const standards = fileURLToPath(new URL("../standards", import.meta.url));
if (!existsSync(`${standards}/node_modules`))
  execFileSync("npm", ["--prefix", standards, "ci", "--no-audit", "--no-fund", "--loglevel=error"], { stdio: "inherit" });
const { Parser } = (await import(`${standards}/node_modules/@asyncapi/parser/cjs/index.js`)).default;
const { Validator } = await import(`${standards}/node_modules/@seriousme/openapi-schema-validator/index.js`);

const protocolPage = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
const upstream = await startUpstream();
const daemon = await startDaemon({ upstream });

test("AsyncAPI 3: a valid document that names every fetcher, with its params", async () => {
  const answer = await curl(`${daemon.url}/asyncapi.json`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["content-type"], "application/json");
  const { document, diagnostics } = await new Parser().parse(answer.body);
  assert.deepEqual(diagnostics.filter(({ severity }) => severity === 0), []);
  assert.equal(document.version(), "3.0.0");
  const { fetchers } = (await curl(`${daemon.url}/fetchers`)).json();
  assert.ok(fetchers.length > 0);
  for (const { name, params = {} } of fetchers) {
    const channel = document.channels().get(`fetcher-${name}`);
    assert.equal(channel.address(), `/channels/${name}`);
    const types = channel.messages().all().map((message) => message.name());
    for (const type of ["snapshot", "new_item", "updated_item", "removed_item", "status", "error"])
      assert.ok(types.includes(type), `${name} has ${types}`);
    const query = document.operations().get(`stream-${name}`).bindings().get("http").value().query;
    assert.deepEqual(Object.keys(query.properties), Object.keys(params));
  }
  const socket = document.channels().get("websocket").messages().all().map((message) => message.name());
  // Every message that the protocol's page shows.
  const shown = new Set([...protocolPage.matchAll(/"type": "([a-z_]+)"/g)].map(([, type]) => type));
  assert.ok(shown.size >= 10, `${[...shown]}`);
  for (const type of shown) assert.ok(socket.includes(type), `${type} is not among ${socket}`);
  assert.equal(document.servers().get("websocket").protocol(), "ws");
  assert.equal(`http://${document.servers().get("http").host()}`, daemon.url);
});

test("OpenAPI 3.1: a valid document of the paths that there are", async () => {
  const answer = await curl(`${daemon.url}/openapi.json`);
  const { valid, errors } = await new Validator().validate(answer.json());
  assert.ok(valid, JSON.stringify(errors, null, 1));
  const { paths, servers } = answer.json();
  assert.equal(servers[0].url, daemon.url);
  for (const [path, operations] of Object.entries(paths)) {
    if (!operations.get || path === "/events" || path.startsWith("/channels/")) continue;
    assert.equal((await curl(`${daemon.url}${path}`)).status, 200, path);
  }
  for (const path of ["/", "/fetchers", "/fetchers/list", "/channels", "/channels/list", "/events", "/tickets", "/livez", "/readyz", "/metrics"])
    assert.ok(paths[path], path);
  for (const name of ["_select", "_since", "Last-Event-ID"])
    for (const path of ["/channels/list", "/events"])
      assert.ok(paths[path].get.parameters.some((parameter) => parameter.name === name), `${path} ${name}`);
});
