/**
 * Locks and unlocks a file with flock(2) of the C library, which the runtime calls as it calls the library.
 *
 * @module
 */
import type { Table } from "../../src/runtime/backend.ts";
import { backend } from "../../src/runtime/current.ts";
import type { Contender } from "./contender.ts";

interface CLibrary {
  creat(path: Uint8Array, mode: number): number;
  flock(descriptor: number, operation: number): number;
}

// Of the kinds of numbers, u32 is the cheapest everywhere.
const table = {
  creat: { parameters: ["buffer", "u32"], result: "i32" },
  flock: { parameters: ["u32", "u32"], result: "i32" },
} as const satisfies Table;

const exclusive = 2; // LOCK_EX
const unlock = 8; // LOCK_UN

export const contender: Contender = {
  connect(address) {
    const c = backend().bind<CLibrary>("libc.so.6", table);
    const descriptor = c.creat(new TextEncoder().encode(`${address}\0`), 0o600);
    if (descriptor < 0) throw new Error(`Cannot make ${address}`);
    return {
      blocking: () => () => {
        if (c.flock(descriptor, exclusive) !== 0) throw new Error("Not locked");
        if (c.flock(descriptor, unlock) !== 0) throw new Error("Not unlocked");
      },
    };
  },
};
