/**
 * Reads and checks outcomes of operations.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Event, Outcome } from "./operations.ts";
import type { Answer, Wait } from "./state.ts";

export function found<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  assert(value !== undefined, `nothing is known of ${name}`);
  return value;
}

export function valueIn<T>(outcome: Outcome): T {
  assert("value" in outcome, `an error: ${JSON.stringify(outcome)}`);
  return outcome.value as T;
}

export function idIn(outcome: Outcome): string {
  const id = valueIn<string | null>(outcome);
  assert(typeof id === "string", "no call was made although a slot is free");
  return id;
}

export function eventIn(outcome: Outcome): Event {
  return valueIn<Event>(outcome);
}

export function expectValue(outcome: Outcome, value: unknown): void {
  assertEquals(outcome, { value });
}

export function expectError(outcome: Outcome, code: string): void {
  const found = "error" in outcome ? outcome.error : `the value ${JSON.stringify(outcome.value)}`;
  assertEquals(found, code, JSON.stringify(outcome));
}

export function expectAnswer(outcome: Outcome, answer: Answer): void {
  if ("bytes" in answer) return expectValue(outcome, answer.bytes);
  expectError(outcome, answer.error);
  const { message } = answer;
  if (message !== undefined) assertEquals(outcome, { error: answer.error, message });
}

export function expectReady(outcome: Outcome, answer: Answer): void {
  if ("bytes" in answer) expectValue(outcome, null);
  else expectAnswer(outcome, answer);
}

export function fits(answer: Answer, into: number | undefined): boolean {
  return into === undefined || !("bytes" in answer) || answer.length <= into;
}

/** The required outcome of an abort. */
export function abortOf({ name }: Wait, outcome: Outcome): Event {
  const { outcome: found } = eventIn(outcome);
  return {
    wait: name,
    outcome: { error: "Reason", message: "message" in found ? found.message : "" },
  };
}
