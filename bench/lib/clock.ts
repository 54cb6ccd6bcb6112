/**
 * A clock that is the same in every process of the machine.
 *
 * The clocks of the runtimes are not: `performance.now()` and `process.hrtime()` count from the start
 * of the process in Deno and in Bun, and `performance.timeOrigin` is taken from the wall clock,
 * which may be set. So this asks the C library for CLOCK_MONOTONIC, which the kernel keeps for all.
 *
 * @module
 */
import type { Table } from "../../src/runtime/backend.ts";
import { backend } from "../../src/runtime/current.ts";

interface CLibrary {
  clock_gettime(clock: number, time: BigInt64Array): number;
}

const table = {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
} as const satisfies Table;

const monotonic = 1; // CLOCK_MONOTONIC
const time = new BigInt64Array(2);
const c = backend().bind<CLibrary>("libc.so.6", table);

/** Milliseconds since a moment that is the same for all processes. */
export function machineNow(): number {
  c.clock_gettime(monotonic, time);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}
