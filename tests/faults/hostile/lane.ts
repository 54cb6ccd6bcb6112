/**
 * The loop of every lane of work: open a handle, do things with it, close it, again.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import type { Ledger } from "./ledger.ts";
import type { Random } from "./random.ts";

export interface Lane {
  /** The index of its record in the journal. */
  readonly number: number;
  readonly target: string;
  readonly random: Random;
  readonly ledger: Ledger;
  /** False: the round is over. */
  readonly goesOn: () => boolean;
}

/** Does one thing. The time-out says how long it may wait. */
export type Step = readonly [name: string, timeout: number, body: () => unknown];

/** The part of a handle that lanes need. */
interface Closeable {
  close(): void;
}

/** A class of handles. */
interface Kind<Handle> {
  readonly name: string;
  open(target: string): Handle;
  fromFd(fd: number): Handle;
}

/** The longest wait of an operation; half of them wait less, a third not at all. */
const timeoutMax = 20;

export function timeoutOf(random: Random): number {
  return random.oneIn(3) ? 0 : random.below(timeoutMax);
}

/** Lengths around the borders of the memory layout. */
export function lengthOf(random: Random): number {
  return random.pick([0, 1, 8, 95, 96, 97, 119, 120, 121, 1000, 4096, 5000, 8192, 8193]);
}

export function bytesOf(random: Random): Uint8Array<ArrayBuffer> {
  return new Uint8Array(lengthOf(random)).fill(random.below(256));
}

/** Works until the round is over. `steps` lists the operations of one handle. */
export async function work<Handle extends Closeable>(
  lane: Lane,
  kind: Kind<Handle>,
  steps: (handle: Handle) => () => Step,
): Promise<void> {
  const { number, random, ledger, goesOn } = lane;
  while (goesOn()) {
    const handle = await ledger.step(number, `${kind.name}.open`, 0, () => open(lane, kind));
    if (!handle) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    const next = steps(handle);
    for (let left = random.below(60); left > 0 && goesOn(); left--) {
      const [name, timeout, body] = next();
      await ledger.step(number, `${kind.name}.${name}`, timeout, body);
    }
    await ledger.step(number, `${kind.name}.close`, 0, () => handle.close());
  }
}

function open<Handle>({ target, random }: Lane, kind: Kind<Handle>): Handle {
  if (!random.oneIn(4)) return kind.open(target);
  let fd: number;
  try {
    fd = openSync(target, "r+");
  } catch {
    // The next process to open a channel that is marked as removed unlinks it.
    return kind.open(target);
  }
  try {
    return kind.fromFd(fd);
  } finally {
    closeSync(fd);
  }
}
