/**
 * Contenders of a limit in other processes, and looks at a limit.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Limit, type LimitOptions, type Lock, type LockInfo } from "../../src/limit/main.ts";
import { Contender } from "./contender.ts";
import { atEnd, eventually, newTarget, type Runtime, spawn } from "./harness.ts";

export { Contender, type Granted } from "./contender.ts";

/** Starts a process whose contender `a` has opened the limit. */
export async function startContender(
  runtime: Runtime,
  target: string,
  options: LimitOptions = {},
): Promise<Contender> {
  const contender = await startProcess(runtime);
  await contender.open(target, options);
  return contender;
}

/** Starts a process without contenders. */
export async function startProcess(
  runtime: Runtime,
  flags: readonly string[] = [],
  through: readonly string[] = [],
): Promise<Contender> {
  // Reading is for the modules of Workers.
  const denoPermissions = ["--allow-ffi", "--allow-read", ...flags];
  return new Contender(
    await spawn(runtime, "limit/contender.ts", [], { denoPermissions, through }),
  );
}

/** A contender of this process, which is closed when the test ends. */
export function openLimit(target: string = newTarget(), options: LimitOptions = {}): Limit {
  const limit = new Limit(target, options);
  atEnd(() => Promise.resolve(limit.close()));
  return limit;
}

/** Several contenders of this process for one limit. */
export function openLimits(
  count: number,
  options: LimitOptions = {},
  target: string = newTarget(),
): Limit[] {
  return Array.from({ length: count }, () => openLimit(target, options));
}

/** Waits until so many wait. */
export async function waiting(limit: Limit, count: number): Promise<void> {
  await eventually(() => limit.waiters().length === count, `${count} wait for ${limit.target}`);
}

/** Asserts who holds and who waits, by the tickets of their requests. */
export function assertTickets(
  limit: Limit,
  expected: { readonly holders: readonly Lock[]; readonly waiters: number },
): void {
  const ticketsOf = (list: readonly { readonly ticket: number }[]) => list.map((one) => one.ticket);
  assertEquals(
    ticketsOf(limit.holders()).sort(byNumber),
    ticketsOf(expected.holders).sort(byNumber),
  );
  const waiters = ticketsOf(limit.waiters());
  assertEquals(waiters, [...waiters].sort(byNumber), "waiters in served order");
  assertEquals(waiters.length, expected.waiters);
}

function byNumber(a: number, b: number): number {
  return a - b;
}

/** Nobody has a place, and all can be had. */
export function assertIdle(target: string, max: number): void {
  const limits = Array.from({ length: max + 1 }, () => new Limit(target, { max }));
  try {
    assertEquals([pidsOf(limits[0]!.holders()), pidsOf(limits[0]!.waiters())], [[], []]);
    const ids = limits.map((limit) => limit.tryAcquire()?.id ?? null);
    assertEquals(ids, [...Array.from({ length: max }, (_, index) => index + 1), null]);
  } finally {
    for (const limit of limits) limit.close();
  }
}

function pidsOf(list: readonly LockInfo[]): number[] {
  return list.map(({ pid }) => pid);
}
