/**
 * The time, and waiting, while the fake timers of Bun's test runner are in use. Bun does not replace
 * functions: it stops its clock and holds its own timers back, so functions that were kept from before do
 * not help.
 *
 * @module
 */
interface ClockFunctions {
  clock_gettime(clock: number, out: BigInt64Array): number;
}

interface Global {
  readonly process: {
    getBuiltinModule(name: "bun:ffi"): {
      dlopen(path: string, symbols: object): { readonly symbols: ClockFunctions };
    };
  };
  readonly performance: { readonly timeOrigin: number };
  readonly setTimeout: { readonly clock?: unknown };
  setImmediate(callback: () => void): unknown;
}

const global: Global = globalThis as unknown as Global;
const { setTimeout, setImmediate } = global;
// Read once: the getter returns fake times as well.
const { timeOrigin } = global.performance;

const realTime = 0; // CLOCK_REALTIME
/** glibc, and musl for both processors. */
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];
const clockSymbols = { clock_gettime: { args: ["i32", "buffer"], returns: "i32" } };

let clock: ClockFunctions | null | undefined;
const time = new BigInt64Array(2);

/** Whether a test moves the clock. Bun marks its timers with a property then. */
export function isClockFake(): boolean {
  return setTimeout.clock !== undefined;
}

/**
 * The real value of `performance.now()`; undefined: there is no other clock.
 */
export function realNow(): number | undefined {
  clock ??= findClock();
  if (clock.clock_gettime(realTime, time) !== 0) return undefined;
  return Number(time[0]) * 1_000 + Number(time[1]) / 1_000_000 - timeOrigin;
}

function findClock(): ClockFunctions {
  const { dlopen } = global.process.getBuiltinModule("bun:ffi");
  for (const library of libraries) {
    try {
      return dlopen(library, clockSymbols).symbols;
    } catch {
      // Try the next one.
    }
  }
  return { clock_gettime: () => -1 };
}

/** Runs `callback` after a delay in real milliseconds. The returned function cancels it. */
export function realLater(milliseconds: number, callback: () => void): () => void {
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    callback();
  };
  const cell = new Int32Array(new SharedArrayBuffer(4));
  // Bun's fake timers do not affect this wait.
  const wait = Atomics.waitAsync(cell, 0, 0, milliseconds);
  if (wait.async) void wait.value.then(end);
  else setImmediate(end);
  return () => {
    isOver = true;
    Atomics.notify(cell, 0);
  };
}
