/** Methods with a schema whose last arguments may be missing. */
import { assertEquals } from "@std/assert";
import { type } from "arktype";
import * as v from "valibot";
import * as z from "zod";
import { connect, serve, validated } from "../../mod.ts";
import { assertRejectsCode, test } from "../support/harness.ts";
import { transports } from "../support/sites.ts";

const show = (...values: unknown[]): unknown[] => values;

const api = {
  zod: validated(
    z.tuple([z.string(), z.number().optional(), z.boolean().default(true)]),
    (name, width, crop) => show(name, width, crop),
  ),
  zodRest: validated(z.tuple([z.string()], z.number()), (name, ...rest) => show(name, ...rest)),
  valibot: validated(
    v.tuple([v.string(), v.optional(v.number()), v.optional(v.boolean(), true)]),
    (name, width, crop) => show(name, width, crop),
  ),
  valibotRest: validated(
    v.tupleWithRest([v.string()], v.number()),
    (name, ...rest) => show(name, ...rest),
  ),
  arktype: validated(type(["string", "number?"]), (name, width) => show(name, width)),
  arktypeRest: validated(
    type(["string", "...", "number[]"]),
    (name, ...rest) => show(name, ...rest),
  ),
  // A method may take fewer parameters than its schema.
  fewer: validated(v.tuple([v.string(), v.number()]), (name) => show(name)),
};

for (const { title, newTarget } of transports) {
  test(`${title}: validated methods have optional and rest parameters`, async () => {
    const target = newTarget();
    await using _service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (const method of [remote.zod, remote.valibot]) {
      assertEquals(await method("a"), ["a", undefined, true]);
      assertEquals(await method("a", 1), ["a", 1, true]);
      assertEquals(await method("a", undefined, false), ["a", undefined, false]);
    }
    assertEquals(await remote.arktype("a"), ["a", undefined]);
    assertEquals(await remote.arktype("a", 2), ["a", 2]);
    for (const method of [remote.zodRest, remote.valibotRest, remote.arktypeRest]) {
      assertEquals(await method("a"), ["a"]);
      assertEquals(await method("a", 1, 2, 3), ["a", 1, 2, 3]);
      // @ts-expect-error: a number is wanted
      await assertRejectsCode(method("a", 1, "b"), "INVALID_ARGUMENTS");
    }
    assertEquals(await remote.fewer("a", 1), ["a"]);
    // @ts-expect-error: the name is not optional
    await assertRejectsCode(remote.valibot(), "INVALID_ARGUMENTS");
    // @ts-expect-error: the second argument is not optional
    await assertRejectsCode(remote.fewer("a"), "INVALID_ARGUMENTS");
  });
}
