// The ways in which an API can fail, each done on purpose. A rule is {path, mode, times, …} as POSTed to
// /_control/fail; see control.mjs for what each mode takes.
import { createGzip } from "node:zlib";
import { Readable } from "node:stream";

const JSON_TYPE = { "content-type": "application/json; charset=utf-8" };
const BOMB_BYTES = 256 * 1024 * 1024;
const DEPTH = 200_000;

const HTML =
  "<!DOCTYPE html>\n<html><head><title>Just a moment</title></head>" +
  "<body><h1>We are down for maintenance</h1><p>Please come back later.</p></body></html>\n";

function html(request, response, rule) {
  response.writeHead(rule.status ?? 200, { "content-type": "text/html; charset=utf-8" }).end(HTML);
}

function status(request, response, rule) {
  const code = rule.status ?? 500;
  const body = rule.body ?? JSON.stringify({ error: `the sample server was told to answer ${code}` });
  response.writeHead(code, { ...JSON_TYPE, ...rule.headers });
  response.end(code === 204 || code === 304 ? undefined : body);
}

function deep(request, response) {
  response.writeHead(200, JSON_TYPE);
  response.end(`{"items":${"[".repeat(DEPTH)}${"]".repeat(DEPTH)}}`);
}

function hang() {
  // No answer at all; the connection stays open until the other side gives up.
}

// A byte every now and then, for as long as the other side listens.
function drip(request, response, rule) {
  response.writeHead(200, JSON_TYPE);
  response.write('{"items":[');
  const timer = setInterval(() => response.write(" "), rule.every_ms ?? 500);
  response.on("close", () => clearInterval(timer));
}

// As many bytes as the other side takes, never an end.
function endless(request, response) {
  response.writeHead(200, JSON_TYPE);
  response.write('{"items":[');
  let number = 0;
  const more = new Readable({
    read() {
      let chunk = "";
      while (chunk.length < 65_536) chunk += `{"id":"endless-${number++}","text":"and there is more to come"},`;
      this.push(chunk);
    },
  });
  more.pipe(response);
  response.on("close", () => more.destroy());
}

// Some hundred kilobytes that become 256 MiB.
function gzipBomb(request, response) {
  response.writeHead(200, { ...JSON_TYPE, "content-encoding": "gzip" });
  const block = Buffer.alloc(1024 * 1024, " ");
  let left = BOMB_BYTES / block.length;
  const spaces = new Readable({
    read() {
      this.push(left-- > 0 ? block : null);
    },
  });
  const zipped = spaces.pipe(createGzip({ level: 9 }));
  zipped.pipe(response);
  response.on("close", () => {
    spaces.destroy();
    zipped.destroy();
  });
}

function redirect(request, response, rule) {
  response.writeHead(rule.status ?? 302, { location: rule.location ?? request.url, "content-length": "0" }).end();
}

function reset(request) {
  request.socket.resetAndDestroy();
}

// The first half of what would have been said: well-formed HTTP, broken JSON.
function truncated(request, response, rule, answer) {
  const whole = Buffer.from(answer.body ?? JSON.stringify(answer.json));
  const half = whole.subarray(0, Math.floor(whole.length / 2));
  response.writeHead(answer.status, { ...JSON_TYPE, "content-length": String(half.length) }).end(half);
}

// The same half, but the connection ends before the promised length.
function cut(request, response, rule, answer) {
  const whole = Buffer.from(answer.body ?? JSON.stringify(answer.json));
  response.writeHead(answer.status, { ...JSON_TYPE, "content-length": String(whole.length) });
  response.write(whole.subarray(0, Math.floor(whole.length / 2)), () => request.socket.destroy());
}

// Modes that take the place of the answer.
export const INSTEAD = { status, html, deep, hang, drip, endless, gzip_bomb: gzipBomb, redirect, reset };

// Modes that spoil the true answer.
export const SPOILING = { truncated, cut };

export const MODES = [...Object.keys(INSTEAD), ...Object.keys(SPOILING), "empty_list"];
