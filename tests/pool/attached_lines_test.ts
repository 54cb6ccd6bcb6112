/** How many calls an attached pool may have open, when its supervisor does not answer. */
import { assertEquals } from "@std/assert";
import { TandemError } from "../../mod.ts";
import { AttachedLines } from "../../src/pool/clients/attached_lines.ts";
import type { Line, Lines } from "../../src/rpc/lines.ts";
import { eventually, test } from "../support/harness.ts";

/** Lines to workers, which are there. */
function servedLines(): Lines {
  const line = { presence: { isServed: true } } as Line;
  return {
    target: "pool",
    closing: new AbortController().signal,
    openNow: () => line,
    whenOpen: () => Promise.resolve(line),
  } as Partial<Lines> as Lines;
}

for (const code of ["TIMEOUT", "NO_SERVER", "NOT_FOUND"] as const) {
  test(`the supervisor is not to be asked at first (${code}): calls go on, and it is asked again`, async () => {
    let isBusy = true;
    let asked = 0;
    const lines = new AttachedLines(servedLines(), () => {
      asked += 1;
      if (isBusy) return Promise.reject(new TandemError(code, "Cannot finish a call"));
      return Promise.resolve(3);
    });
    assertEquals(lines.openNow(), null);
    await lines.whenOpen(Infinity, undefined);
    // Another call need not wait, and nobody asks for each of them.
    for (let call = 0; call < 3; call++) await lines.whenOpen(Infinity, undefined);
    assertEquals([asked, lines.openMax], [1, Number.MAX_SAFE_INTEGER]);
    isBusy = false;
    await eventually(() => lines.openNow() && lines.openMax === 3, "its answer is known");
    const before = asked;
    lines.openNow();
    assertEquals(asked, before);
  });
}
