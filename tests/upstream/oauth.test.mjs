// Tests of the OAuth 1.0a code against published examples. Run: node --test tests/upstream/oauth.test.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { authorize, baseString, baseUri, encode, formPairs, headerPairs, normalized, sign, Verifier } from "./oauth.mjs";

const DEMO = JSON.parse(readFileSync(new URL("demo-keys.json", import.meta.url)));

describe("OAuth 1.0a signatures", () => {
  test("RFC 5849 section 3.4.1: the base string of the example request", () => {
    const header =
      'OAuth realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", ' +
      'oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", ' +
      'oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D"';
    const pairs = [...formPairs("b5=%3D%253D&a3=a&c%40=&a2=r%20b"), ...headerPairs(header), ...formPairs("c2&a3=2+q")];
    assert.equal(
      normalized(pairs),
      "a2=r%20b&a3=2%20q&a3=a&b5=%3D%253D&c%40=&c2=&oauth_consumer_key=9djdj82h48djs9d2&oauth_nonce=7d8f3e4a" +
        "&oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131201&oauth_token=kkk9d7dh3k39sjv7",
    );
    assert.equal(
      baseString("post", baseUri("http", "example.com", "/request"), pairs),
      "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D" +
        "%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method" +
        "%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7",
    );
  });

  test("RFC 5849 section 3.4.1.2: host in lower case, the scheme's own port left out", () => {
    assert.equal(baseUri("http", "EXAMPLE.COM:80", "/r%20v/X"), "http://example.com/r%20v/X");
    assert.equal(baseUri("https", "www.example.net:8080", "/"), "https://www.example.net:8080/");
    assert.equal(baseUri("https", "api.twitter.com:443", "/2"), "https://api.twitter.com/2");
  });

  test("RFC 5849 section 3.6: what is percent-encoded and what is not", () => {
    assert.equal(encode("azAZ09-._~"), "azAZ09-._~");
    assert.equal(encode("!*'()+ %/=&☃"), "%21%2A%27%28%29%2B%20%25%2F%3D%26%E2%98%83");
  });

  test("Twitter's documented example gives Twitter's documented signature", () => {
    const pairs = [
      ...formPairs("include_entities=true"),
      ["status", "Hello Ladies + Gentlemen, a signed OAuth request!"],
      ["oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"],
      ["oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"],
      ["oauth_signature_method", "HMAC-SHA1"],
      ["oauth_timestamp", "1318622958"],
      ["oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"],
      ["oauth_version", "1.0"],
    ];
    const base = baseString("POST", "https://api.twitter.com/1.1/statuses/update.json", pairs);
    const signature = sign(
      base, "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw", "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    );
    assert.equal(signature, "hCtSmYh+iHYCEqBWrE7C7hYmtUk=");
  });

  test("the verifier accepts a request once, and refuses stale, replayed, altered and foreign ones", () => {
    const credentials = DEMO["twitter-status"];
    let now = 1_700_000_000;
    const verifier = new Verifier(credentials, () => now);
    const url = "https://api.twitter.com/2/tweets/1?tweet.fields=author_id,created_at&x=a+b%2Fc";
    const signed = (nonce, timestamp = now, keys = credentials) => ({
      method: "GET", host: "api.twitter.com", path: "/2/tweets/1", query: url.split("?")[1],
      authorization: authorize({ method: "GET", url, credentials: keys, timestamp, nonce }),
    });
    assert.equal(verifier.refusal(signed("n1")), null);
    assert.match(verifier.refusal(signed("n1")), /nonce/);
    assert.equal(verifier.refusal(signed("n2", now - 299)), null);
    assert.match(verifier.refusal(signed("n3", now - 301)), /stale/);
    assert.match(verifier.refusal(signed("n4", now + 301)), /stale/);
    assert.match(verifier.refusal({ ...signed("n5"), path: "/2/tweets/2" }), /signature/);
    assert.match(verifier.refusal({ ...signed("n6"), query: "tweet.fields=author_id" }), /signature/);
    assert.match(verifier.refusal({ ...signed("n7"), host: "api.x.com" }), /signature/);
    assert.match(verifier.refusal({ ...signed("n8"), method: "POST" }), /signature/);
    const foreign = { ...credentials, "access-token-secret": "some-other-secret" };
    assert.match(verifier.refusal(signed("n9", now, foreign)), /signature/);
    assert.match(verifier.refusal({ ...signed("n10"), authorization: "Bearer abc" }), /well-formed/);
    now += 601;
    assert.equal(verifier.refusal(signed("n1")), null, "a nonce is forgotten when no timestamp of its time is good");
  });
});
