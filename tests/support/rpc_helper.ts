/** Shared code of the tests of typed calls. */
import { assert, assertEquals } from "@std/assert";
import {
  connect,
  type ConnectOptions,
  type ErrorCode,
  type Remote,
  type ServiceOptions,
  type TandemError,
} from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { type Child, longEnough, type Runtime } from "./harness.ts";
import { type Hosted, processSite, type Site } from "./site.ts";

/** A service, and a connection to it from here. */
export interface Typed extends Disposable {
  readonly service: Hosted;
  readonly target: string;
  readonly remote: Remote<Api>;
}

/** As {@linkcode Typed}, of a service in a process of its own. */
export interface TypedProcess extends Typed {
  readonly service: Child;
}

/** Starts fixtures/typed.ts in a process. */
export function startService(
  runtime: Runtime,
  target: string,
  options: ServiceOptions = {},
): Promise<Child> {
  return processSite(runtime).start("typed.ts", target, options);
}

/** Starts fixtures/typed_checks.ts in a process. */
export function startChecks(
  runtime: Runtime,
  target: string,
  options: ServiceOptions = {},
): Promise<Child> {
  return processSite(runtime).start("typed_checks.ts", target, options);
}

/** A stream of 1 and 2, and whether it has ended: it was read to its end, or its reader has stopped. */
export class OneAndTwo {
  hasEnded = false;

  async *read(): AsyncGenerator<number> {
    try {
      yield 1;
      yield 2;
    } finally {
      this.hasEnded = true;
    }
  }
}

/** A service at that site, and a connection to it from here. */
export async function typedAt(
  site: Site,
  serviceOptions: ServiceOptions = {},
  options: ConnectOptions = {},
): Promise<Typed> {
  const target = site.newTarget();
  const service = await site.start("typed.ts", target, serviceOptions);
  const remote = connect<Api>(target, { timeout: 30_000, errors: [CustomError], ...options });
  return { service, target, remote, [Symbol.dispose]: () => remote[Symbol.dispose]() };
}

/** A service in a process of that runtime, and a connection to it from here. */
export function typed(
  runtime: Runtime,
  serviceOptions: ServiceOptions = {},
  options: ConnectOptions = {},
): Promise<TypedProcess> {
  return typedAt(processSite(runtime), serviceOptions, options) as Promise<TypedProcess>;
}

/** The error that a promise rejects with. */
export async function rejection<T extends Error = Error>(
  promise: PromiseLike<unknown>,
): Promise<T> {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof Error, `no error was thrown but ${String(error)}`);
    return error as T;
  }
  throw new Error("the promise has resolved");
}

/**
 * Asserts that a call with little time ends with that code. Over NATS it may be on its way when its time is over, and
 * ends with `TIMEOUT` then.
 */
export async function assertEndsSoonWith(
  code: ErrorCode,
  call: (timeout: number) => PromiseLike<unknown>,
  ...messageIncludes: readonly string[]
): Promise<void> {
  await longEnough(30, async (timeout) => {
    const error = await rejection<TandemError>(call(timeout));
    if (error.code === "TIMEOUT") return false;
    assertEquals(error.code, code, error.message);
    for (const part of messageIncludes) assert(error.message.includes(part), error.message);
    return true;
  });
}

/** All items of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
