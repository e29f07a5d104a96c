// Writes an answer to a response: strong ETags, 304, gzip.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

function etagOf(body) {
  return `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
}

function accepts(header, coding) {
  return (header ?? "").split(",").some((part) => {
    const [name, ...parameters] = part.trim().split(";");
    const refused = parameters.some((parameter) => /^\s*q=0(\.0*)?\s*$/.test(parameter));
    return name.trim().toLowerCase() === coding && !refused;
  });
}

function matches(ifNoneMatch, etag) {
  if (ifNoneMatch === undefined) return false;
  const given = ifNoneMatch.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return given.includes("*") || given.includes(etag);
}

// `answer` is {status, json} or {status, body, headers, exact}. An exact one is sent as it is told: no ETag that was
// not asked for, no gzip; its own validators still answer a conditional request.
export function sendAnswer(request, response, answer, { gzip }) {
  const headers = { "content-type": "application/json; charset=utf-8" };
  for (const [name, value] of Object.entries(answer.headers ?? {})) headers[name.toLowerCase()] = value;
  let body = Buffer.from(answer.body ?? JSON.stringify(answer.json));
  if (!answer.exact) {
    headers.vary = "Accept-Encoding";
    const zipped = gzip && accepts(request.headers["accept-encoding"], "gzip");
    if (zipped) {
      body = gzipSync(body, { level: 6 });
      headers["content-encoding"] = "gzip";
    }
    if (answer.status === 200) headers.etag = etagOf(body); // of these very bytes, so each encoding has its own
  }
  const unchanged =
    answer.status === 200 &&
    (headers.etag !== undefined && request.headers["if-none-match"] !== undefined
      ? matches(request.headers["if-none-match"], headers.etag)
      : headers["last-modified"] !== undefined &&
        request.headers["if-modified-since"] === headers["last-modified"]);
  if (unchanged) {
    delete headers["content-type"];
    delete headers["content-encoding"];
    response.writeHead(304, headers).end();
    return;
  }
  const bodiless = answer.status === 204 || answer.status === 304;
  if (!bodiless) headers["content-length"] = String(body.length);
  response.writeHead(answer.status, headers);
  response.end(bodiless || request.method === "HEAD" ? undefined : body);
}
