/** Values of newer runtimes that arrive in one which lacks their classes. */
import { assert, assertEquals } from "@std/assert";
import { connect, proxy, serve, topic } from "../../mod.ts";
import { decode, encode } from "../support/codec_helper.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  newTarget,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { hasFloat16 } from "../support/any_value.ts";
import { processSite } from "../support/site.ts";
import type { Older } from "../fixtures/older_runtime.ts";
import type { Told } from "../fixtures/lib.ts";
import type { Checks } from "../fixtures/typed_checks.ts";

const found = [
  "Cannot read a message: the runtime that reads it has no Float16Array",
  "newer runtime",
] as const;

function assertUnsupported(result: Told | string): void {
  assert(typeof result !== "string", `${result}`);
  assertEquals(result.code, "UNSUPPORTED", result.message);
  for (const part of found) assert(result.message.includes(part), result.message);
}

for (const runtime of runtimes) {
  if (!hasFloat16) {
    // It serves as well, and has nothing to send.
    if (runtime === "node") continue;
    test(`${runtime} serves: what this runtime has no class for`, async () => {
      const site = processSite(runtime);
      const target = site.newTarget();
      await site.start("typed_checks.ts", target, {});
      using remote = connect<Checks>(target, { timeout: 30_000 });
      await assertRejectsCode(remote.makeCorpus(true), "UNSUPPORTED", ...found);
      assertEquals(await remote.echo(1), [1]);
    });
    continue;
  }

  test(`${runtime} without Float16Array refuses one clearly, wherever it arrives`, async () => {
    const target = newTarget();
    const service = await spawn(runtime, "older_runtime.ts", [target]);
    await service.expect("ready");
    using remote = connect<Older>(target, { timeout: 30_000 });
    const value = new Float16Array([1, 2]);
    const shared = new Float16Array(new SharedArrayBuffer(4));
    for (const view of [value, shared]) {
      await assertRejectsCode(remote.take({ view }), "UNSUPPORTED", ...found);
      const items = async function* () {
        yield 1;
        yield view;
      };
      assertUnsupported(await remote.takeItems(items()));
    }
    const ownTarget = newTarget();
    await using _own = serve(ownTarget, { give: () => value });
    assertUnsupported(await remote.ask(ownTarget));
    assertUnsupported(await remote.call(proxy(() => value)));
    const lent = await remote.lend() as (value: unknown) => Promise<string>;
    await assertRejectsCode(lent(value), "UNSUPPORTED", ...found);
    assertEquals(await lent(1), "taken");
    const news = newTarget();
    using values = topic<unknown>(news);
    const arrival = remote.subscribe(news);
    await service.expect("subscribed");
    values.publish(value);
    assertUnsupported(await arrival);
    // The others of the language arrive, and the service goes on.
    assertEquals(await remote.take(new Float32Array(2)), "taken");
  });

  test(`${runtime} without SuppressedError keeps what is inside one`, async () => {
    const target = newTarget();
    const service = await spawn(runtime, "older_runtime.ts", [target]);
    await service.expect("ready");
    using remote = connect<Older>(target, { timeout: 30_000 });
    const sent = new SuppressedError(new RangeError("a"), new TypeError("b"), "both");
    const given = await remote.give(sent) as SuppressedError;
    assertEquals([given.name, given.message], ["SuppressedError", "both"]);
    assert(given.error instanceof RangeError && given.suppressed instanceof TypeError);
  });
}

test("a regular expression of a newer syntax is refused clearly", () => {
  // A flag that no runtime knows: a message of one that does.
  const message = encode(/plain/g);
  const at = message.length - 1;
  assertEquals(message[at], "g".charCodeAt(0));
  message[at] = "q".charCodeAt(0);
  const { message: text } = assertThrowsCode(() => decode(message), "UNSUPPORTED", "newer runtime");
  assert(/regular expression.*flags/i.test(text), text);
});
