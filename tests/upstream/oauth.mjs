// OAuth 1.0a (RFC 5849), HMAC-SHA1 only: how a signature is made and how a request is checked. Pure, save for the
// Verifier's memory of nonces.
import { createHmac, timingSafeEqual } from "node:crypto";

// Section 3.6: everything but letters, digits and "-._~" becomes %XX of its UTF-8 bytes.
export function encode(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

// Form-encoded text (a query, or a form's body) as [name, value] pairs, "+" being a space.
export function formPairs(text) {
  const decode = (part) => decodeURIComponent(part.replaceAll("+", " "));
  return text
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      return equals < 0 ? [decode(part), ""] : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
    });
}

// The parameters of an `Authorization: OAuth …` header as pairs, or null when it is none or is malformed.
export function headerPairs(header) {
  const scheme = /^\s*OAuth\s+/i.exec(header ?? "");
  if (!scheme) return null;
  const pairs = [];
  for (const part of header.slice(scheme[0].length).split(",")) {
    const match = /^\s*([^=\s"]+)\s*=\s*"([^"]*)"\s*$/.exec(part);
    if (!match) return null;
    try {
      pairs.push([decodeURIComponent(match[1]), decodeURIComponent(match[2])]);
    } catch {
      return null;
    }
  }
  return pairs;
}

// Section 3.4.1.2: scheme and host in lower case, the scheme's own port left out, no query.
export function baseUri(scheme, host, path) {
  const own = scheme === "https" ? ":443" : ":80";
  const authority = host.toLowerCase();
  return `${scheme}://${authority.endsWith(own) ? authority.slice(0, -own.length) : authority}${path}`;
}

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

// Section 3.4.1.3.2: encode, sort by name and then by value, join. `realm` and the signature itself take no part.
export function normalized(pairs) {
  return pairs
    .filter(([name]) => name !== "oauth_signature" && name !== "realm")
    .map(([name, value]) => [encode(name), encode(value)])
    .sort((a, b) => byBytes(a[0], b[0]) || byBytes(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

export function baseString(method, uri, pairs) {
  return `${method.toUpperCase()}&${encode(uri)}&${encode(normalized(pairs))}`;
}

export function sign(base, consumerSecret, tokenSecret) {
  return createHmac("sha1", `${encode(consumerSecret)}&${encode(tokenSecret)}`).update(base).digest("base64");
}

// An Authorization header for a request: what a client of the sample server sends.
export function authorize({ method, url, credentials, timestamp, nonce }) {
  const { protocol, host, pathname, search } = new URL(url);
  const own = [
    ["oauth_consumer_key", credentials["consumer-key"]],
    ["oauth_nonce", nonce],
    ["oauth_signature_method", "HMAC-SHA1"],
    ["oauth_timestamp", String(timestamp)],
    ["oauth_token", credentials["access-token"]],
    ["oauth_version", "1.0"],
  ];
  const uri = baseUri(protocol.slice(0, -1), host, pathname);
  const base = baseString(method, uri, [...formPairs(search.slice(1)), ...own]);
  const signature = sign(base, credentials["consumer-secret"], credentials["access-token-secret"]);
  const fields = [...own, ["oauth_signature", signature]];
  return `OAuth ${fields.map(([name, value]) => `${encode(name)}="${encode(value)}"`).join(", ")}`;
}

const WINDOW_SECONDS = 300;

// Checks requests against one set of credentials. `now` gives seconds since 1970.
export class Verifier {
  #credentials;
  #now;
  #nonces = new Map(); // nonce -> the second it was seen in

  constructor(credentials, now = () => Date.now() / 1000) {
    this.#credentials = credentials;
    this.#now = now;
  }

  // null when the request is signed well; otherwise what is wrong with it, for people.
  refusal({ method, host, path, query, authorization }) {
    const own = headerPairs(authorization);
    if (!own) return "no well-formed OAuth Authorization header";
    const names = own.map(([name]) => name);
    if (new Set(names).size !== names.length) return "an OAuth parameter is given twice";
    const field = Object.fromEntries(own);
    if (field.oauth_signature_method !== "HMAC-SHA1") return "the signature method is not HMAC-SHA1";
    if (field.oauth_version !== undefined && field.oauth_version !== "1.0") return "the OAuth version is not 1.0";
    if (field.oauth_consumer_key !== this.#credentials["consumer-key"]) return "unknown consumer key";
    if (field.oauth_token !== this.#credentials["access-token"]) return "unknown access token";
    if (!/^[0-9]{1,12}$/.test(field.oauth_timestamp ?? "")) return "the timestamp is not a number";
    if (!field.oauth_nonce) return "no nonce";
    let base;
    try {
      base = baseString(method, baseUri("https", host, path), [...formPairs(query), ...own]);
    } catch {
      return "the query is not well-formed";
    }
    const expected = Buffer.from(
      sign(base, this.#credentials["consumer-secret"], this.#credentials["access-token-secret"]),
    );
    const given = Buffer.from(field.oauth_signature ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return "the signature does not match";
    if (Math.abs(this.#now() - Number(field.oauth_timestamp)) > WINDOW_SECONDS) return "the timestamp is stale";
    return this.#remember(field.oauth_nonce) ? null : "the nonce was used before";
  }

  // A nonce is only worth remembering while its timestamp could still be accepted.
  #remember(nonce) {
    const now = this.#now();
    for (const [old, seen] of this.#nonces) {
      if (now - seen <= 2 * WINDOW_SECONDS) break; // in the order they were seen
      this.#nonces.delete(old);
    }
    if (this.#nonces.has(nonce)) return false;
    this.#nonces.set(nonce, now);
    return true;
  }
}
