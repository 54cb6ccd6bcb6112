/** What the tests of typed calls share. */
import { assert } from "@std/assert";
import { connect, type ConnectOptions, type Remote, type ServiceOptions } from "../../mod.ts";
import type { Api } from "../fixtures/typed.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { type Child, newTarget, type Runtime, spawn } from "./harness.ts";

/** A service in another process, and a connection to it from here. */
export interface Typed extends Disposable {
  readonly service: Child;
  readonly target: string;
  readonly remote: Remote<Api>;
}

/** Starts fixtures/typed.ts. */
export function startService(
  runtime: Runtime,
  target: string,
  options: ServiceOptions = {},
): Promise<Child> {
  return start(runtime, "typed.ts", target, options);
}

/** Starts fixtures/typed_checks.ts. */
export function startChecks(
  runtime: Runtime,
  target: string,
  options: ServiceOptions = {},
): Promise<Child> {
  return start(runtime, "typed_checks.ts", target, options);
}

async function start(
  runtime: Runtime,
  fixture: string,
  target: string,
  options: ServiceOptions,
): Promise<Child> {
  const service = await spawn(runtime, fixture, [target, JSON.stringify(options)]);
  await service.expect("ready");
  return service;
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

/** A service on that runtime, and a connection to it from here. */
export async function typed(
  runtime: Runtime,
  serviceOptions: ServiceOptions = {},
  options: ConnectOptions = {},
): Promise<Typed> {
  const target = newTarget();
  const service = await startService(runtime, target, serviceOptions);
  const remote = connect<Api>(target, { timeout: 30_000, errors: [CustomError], ...options });
  return { service, target, remote, [Symbol.dispose]: () => remote[Symbol.dispose]() };
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

/** All items of a stream. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
