/** What arrives equals what `structuredClone` makes of a value, for every type that it takes. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { connect } from "../../mod.ts";
import { anyValue, clonesCauses, corpus, hasFloat16 } from "../support/any_value.ts";
import { assertCloned } from "../support/clone_assert.ts";
import { encode } from "../support/codec_helper.ts";
import { test } from "../support/harness.ts";
import type { Checks } from "../fixtures/typed_checks.ts";
import { sites } from "../support/sites.ts";

for (const site of sites) {
  test(`${site.title}: property: a value arrives as structuredClone would make it`, async () => {
    const target = site.newTarget();
    await site.start("typed_checks.ts", target, {});
    using remote = connect<Checks>(target, { timeout: 30_000 });
    const property = fc.asyncProperty(anyValue, async (value) => {
      const wanted = structuredClone(value);
      const sent = remote.echo(value);
      await assertCloned((await sent)[0], wanted);
    });
    await fc.assert(property, { numRuns: 80 });
  });

  test(`${site.title}: every value of a fixed list arrives unchanged, in both directions`, async () => {
    const target = site.newTarget();
    await site.start("typed_checks.ts", target, {});
    using remote = connect<Checks>(target, { timeout: 30_000 });
    const wanted = corpus(hasFloat16);
    const made = await remote.makeCorpus(hasFloat16) as unknown[];
    assertEquals(made.length, wanted.length);
    for (const [index, value] of made.entries()) {
      await assertCloned(value, structuredClone(wanted[index]));
    }
    assertEquals(await remote.checkCorpus(wanted, hasFloat16), "as it should be");
    // The check can fail.
    wanted[wanted.length - 1] = Object(2n ** 81n);
    assert(await remote.checkCorpus(wanted, hasFloat16) !== "as it should be");
  });
}

test("no object of the runtime becomes an empty object", () => {
  const clones = (value: object): object | null => {
    try {
      return structuredClone(value);
    } catch {
      return null;
    }
  };
  let made = 0;
  // The others are functions, or reach out for something.
  const skipped =
    /^([^A-Z]|Worker|WebSocket|EventSource|BroadcastChannel|MessageChannel|FinalizationRegistry|Shadow)/;
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (skipped.test(name)) continue;
    let value: unknown;
    try {
      const Class = (globalThis as unknown as Record<string, new () => unknown>)[name];
      if (typeof Class !== "function") continue;
      value = new Class!();
    } catch {
      continue;
    }
    if (typeof value !== "object" || value === null) continue;
    made += 1;
    const clone = clones(value);
    let isSent = true;
    try {
      encode(value);
    } catch (error) {
      isSent = false;
      const { code, message } = error as Error & { code?: string };
      assertEquals(code, "NOT_SERIALIZABLE", name);
      assert(message.includes("it is a"), message);
    }
    // What structuredClone refuses, or makes an empty object of, is refused.
    const isEmptied = clone !== null && Object.getPrototypeOf(clone) === Object.prototype;
    if (clone === null || (isEmptied && name !== "Object")) assert(!isSent, name);
  }
  assert(made > 40, `${made}`);
});

test("the comparison of this test finds differences", async () => {
  const shared = {};
  const sab = new SharedArrayBuffer(8);
  const pairs: [unknown, unknown][] = [
    [0, -0],
    ["a", "b"],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }],
    [[1, , 3], [1, undefined, 3]],
    [[shared, shared], [{}, {}]],
    [[{}, {}], [shared, shared]],
    [new Map([[1, {}]]), new Map([[1, []]])],
    [new Set([1, 2]), new Set([2, 1])],
    [new Date(1), new Date(2)],
    [/a/g, /a/i],
    [new Error("a"), new Error("b")],
    [new RangeError("a"), new TypeError("a")],
    [new Uint8Array([1]), new Int8Array([1])],
    [new Uint8Array([1]), new Uint8Array([2])],
    [new ArrayBuffer(1), new ArrayBuffer(1, { maxByteLength: 2 })],
    [[new Uint8Array(sab, 0, 4), sab], [new Uint8Array(new SharedArrayBuffer(8), 0, 4), sab]],
    [new Blob(["a"]), new Blob(["b"])],
    [new Blob(["a"]), new File(["a"], "b")],
    [Object(1n), Object(2n)],
    [Object.create(null), {}],
    [Object.assign([1], { more: 1 }), [1]],
  ];
  if (clonesCauses) pairs.push([new Error("a", { cause: 1 }), new Error("a", { cause: 2 })]);
  for (const [index, [found, wanted]] of pairs.entries()) {
    let isDifferent = false;
    await assertCloned(found, wanted).catch(() => isDifferent = true);
    assert(isDifferent, `pair ${index} passes`);
  }
});
