/**
 * The methods of the services of `hosts.ts`: every kind of call that takes more than one message.
 *
 * @module
 */
import { callContext, raw } from "../../../mod.ts";
import { pattern } from "../../support/pattern.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export function sumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return sum;
}

const total: (bytes: Bytes) => number = raw((bytes: Bytes) => sumOf(bytes));

export const api = {
  add: (a: number, b: number): number => a + b,
  async addLater(a: number, b: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (callContext()?.method !== "addLater") throw new Error("it is in another call's context");
    return a + b;
  },
  /** Long in both directions. */
  echo: (bytes: Bytes): Bytes => bytes,
  total: total as (bytes: Bytes) => number,
  async *pieces(byteLength: number, seed: number, count: number): AsyncGenerator<Bytes> {
    for (let index = 0; index < count; index++) yield pattern(byteLength, seed + index);
  },
  async sum(numbers: AsyncIterable<number>): Promise<number> {
    let sum = 0;
    for await (const number of numbers) sum += number;
    return sum;
  },
  async *double(numbers: AsyncIterable<number>): AsyncGenerator<number> {
    for await (const number of numbers) yield number * 2;
  },
};

export type Api = typeof api;

/** The codes of calls whose peers are killed and stopped. */
const faultCodes: ReadonlySet<string> = new Set(["SERVER_DIED", "CANCELLED", "TIMEOUT", "BUSY"]);

/** Whether an error is one that deaths and stops may bring about. */
export function isFault(error: unknown): boolean {
  const { code, remoteName, remoteProperties } = error as {
    code?: string;
    remoteName?: string;
    remoteProperties?: { code?: string };
  };
  // A stream lent to the method may end as well: its client was killed, or it was lent to the
  // previous service of the call, which was killed.
  const isOfMethod = remoteName === "TandemError";
  const told = isOfMethod ? remoteProperties?.code : code;
  return told !== undefined && faultCodes.has(told);
}
