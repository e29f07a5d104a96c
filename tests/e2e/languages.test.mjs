// Fetchers in C and in Rust serve subscribers through the same host as any other.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { BUILD, seconds, startDaemon, startUpstream } from "./harness.mjs";

const names = ["list-c", "list-rust"].filter((name) => existsSync(join(BUILD, `tests/plugins/${name}.so`)));

describe("a fetcher in another language", async () => {
  const upstream = await startUpstream();
  const daemon = await startDaemon({ upstream, plugins: names });
  after(async () => {
    await daemon.stop();
    await upstream.stop();
  });

  for (const fetcher of names) {
    test(`${fetcher} tells what is new, updated and removed`, async () => {
      const params = { name: `of-${fetcher}` };
      await upstream.setList(params.name, [{ id: "1", text: "ä \"quoted\" \\ 𝄞" }, { id: "2", n: 1.5 }]);
      const client = await daemon.subscriber();
      await client.subscribe(fetcher, params);
      await client.waitForItems(fetcher, params, ["1", "2"]);
      const first = client.messages.find((message) => message.type === "new_item" && message.id === "1");
      assert.equal(first.item.text, "ä \"quoted\" \\ 𝄞");
      await upstream.setList(params.name, [{ id: "1", text: "new" }, { id: "2", n: 1.5 }]);
      await client.waitFor("updated_item", (message) => message.item.text === "new");
      await upstream.setList(params.name, [{ id: "1", text: "new" }]);
      await client.waitFor("removed_item", (message) => message.id === "2");
    });

    test(`${fetcher} hands on what the API says when it fails`, async () => {
      const params = { name: `bad-${fetcher}` };
      await upstream.setList(params.name, [{ id: "1" }]);
      await upstream.fail(`/list/${params.name}`, "status", { status: 429 });
      const client = await daemon.subscriber();
      await client.subscribe(fetcher, params);
      await client.waitFor("status", (message) => message.state === "limited" && message.reason === "rate_limited");
    });
  }

  test("a panic in Rust fails the poll and not the process", { skip: !names.includes("list-rust") && "there is no rustc" }, async () => {
    const params = { name: "panic" };
    await upstream.setList(params.name, [{ id: "1", do: "panic" }]);
    const client = await daemon.subscriber();
    await client.subscribe("list-rust", params);
    await client.waitFor("status", (message) => message.state === "failing" && message.reason === "bad_result");
    await upstream.setList(params.name, [{ id: "1", do: "well" }]);
    await client.waitForItems("list-rust", params, ["1"], { within: seconds(30) });
    const answer = await fetch(`${daemon.url}/fetchers/list-rust`);
    assert.equal((await answer.json()).health.restarts, 0);
  });
});
