/** Arrays for answers, made before the answer is looked at. */
import { assertEquals } from "@std/assert";
import { FreshArrays, usualLength } from "../../src/channel/fresh.ts";
import { test } from "../support/harness.ts";

test("arrays for answers: only two answers of one length tell the length of the next", () => {
  const mebibyte = 2 ** 20;
  const cases = [
    // length, the one before, short ones that are copied, usual length
    [12, 12, 0, 12],
    [12, 13, 0, 0],
    [0, 0, 0, 0],
    [64, 64, 64, 0],
    [65, 65, 64, 65],
    [mebibyte, mebibyte, 64, mebibyte],
    [mebibyte + 1, mebibyte + 1, 0, 0],
  ] as const;
  for (const [length, last, copied, usual] of cases) {
    assertEquals(usualLength(length, last, copied), usual, `${length} after ${last}`);
  }
});

test("arrays for answers: each answer has an array of its own, whatever its length", () => {
  for (const arraysAreCostly of [false, true]) check(arraysAreCostly);
});

function check(arraysAreCostly: boolean): void {
  const fresh = new FreshArrays({ copiedBytesMax: 0, arraysAreCostly });
  const lengths = [12, 12, 12, 12, 5, 12, 12, 12, 0, 0, 0, 12];
  const buffers = new Set<ArrayBuffer>();
  for (const [index, length] of lengths.entries()) {
    const target = fresh.next();
    // As long as the usual answers, the target is the answer. Others that fit are copied from it.
    if (length <= target.byteLength) {
      target.fill(index, 0, length);
      const answer = fresh.answerIn(target, length);
      assertEquals([...answer], Array(length).fill(index));
      assertEquals(answer.buffer.byteLength, length);
      buffers.add(answer.buffer);
    } else {
      fresh.note(length);
      buffers.add(new ArrayBuffer(length));
    }
  }
  assertEquals(buffers.size, lengths.length);
}
