/**
 * Calls of all services of a target.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { now } from "../runtime/timers.ts";
import type { ReceiverInfo } from "../transport/transport.ts";
import type { Connection } from "./connection.ts";
import { addresseeOf, InstanceLines } from "./instance_lines.ts";
import type { Lines } from "./lines.ts";
import { hasStreams } from "./rehearsal.ts";
import { type Caller, remoteThrough, stateOf } from "./remote.ts";
import type { CallTerms } from "./terms.ts";

/** A remote method that is called in every service. */
export type EverywhereMethod<M> = M extends (...args: infer A) => infer R
  ? (...args: A) => Promise<PromiseSettledResult<Awaited<R>>[]>
  : never;

/** The methods of a remote, each of which calls all services: see {@linkcode everywhere}. */
export type Everywhere<R> =
  & { readonly [K in keyof R as K extends string ? K : never]: EverywhereMethod<R[K]> }
  & (R extends (...args: never[]) => unknown ? EverywhereMethod<R> : unknown)
  & Disposable
  & AsyncDisposable;

/**
 * The same remote interface, each of whose methods is called once in every service of the target: to make
 * all workers reload their configuration, for example, or to collect their figures.
 *
 * A call goes to the services that are open when it is made, and its promise resolves to one result for
 * each, in the order in which {@linkcode services} lists them. It rejects only if no call could be made at
 * all: arguments that cannot be sent, a closed connection. A service that dies has the result `SERVER_DIED`;
 * a service that is stopped has the result `TIMEOUT` when the call's timeout is over, and delays no other
 * call, but the promise waits for all results. Where nothing serves the target, there are no results.
 *
 * Options of {@linkcode withOptions} apply to each call, and so do the hooks of the connection. If a method
 * returns a stream, each result is a stream. Arguments cannot contain streams when there are several
 * services, because the items of a stream go to one reader.
 *
 * @example
 * ```ts
 * import { connect, everywhere, serve } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const level = { log: "info", set: (value: string) => level.log = value };
 * await using one = serve("workers", level);
 * await using two = serve("workers", level);
 * using workers = connect<typeof level>("workers", { timeout: 5_000 });
 *
 * const results = await everywhere(workers).set("debug");
 * assertEquals(results, [
 *   { status: "fulfilled", value: "debug" },
 *   { status: "fulfilled", value: "debug" },
 * ]);
 * one.unlink();
 * void two;
 * ```
 *
 * @param remote a remote that {@linkcode connect} or {@linkcode withOptions} returned
 * @returns disposing it does nothing; disposing `remote` closes the connection of both
 * @throws {TypeError} for a value that is no remote
 */
export function everywhere<R extends Disposable>(remote: R): Everywhere<R> {
  const { target, options, connection } = stateOf(remote, "call everywhere through");
  const caller = new EverywhereCaller(connection);
  return remoteThrough({ target, options, connection, caller }) as Everywhere<R>;
}

async function discovered(
  lines: Lines,
  { timeout, signal }: CallTerms,
): Promise<readonly ReceiverInfo[]> {
  const deadline = now() + timeout;
  const { requester } = await lines.whenOpen(deadline, signal);
  await requester.discover?.(deadline, signal);
  return requester.listReceivers();
}

/** Makes the calls of {@linkcode everywhere}. */
export class EverywhereCaller implements Caller {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async call(
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
  ): Promise<PromiseSettledResult<unknown>[]> {
    const { main } = this.#connection.lines;
    const receivers = main.isRemote
      ? await discovered(main, terms)
      : main.openNow()?.requester.listReceivers() ?? [];
    if (receivers.length > 0) this.#check(args, receivers.length);
    const calls = receivers.map((receiver) => {
      const lines = new InstanceLines(main, addresseeOf(receiver));
      return this.#connection.through(lines).call(method, args, terms);
    });
    return Promise.allSettled(calls);
  }

  /** @throws {TandemError} for arguments that cannot be sent to so many services */
  #check(args: readonly unknown[], count: number): void {
    if (args.every((arg) => Object(arg) !== arg)) return;
    if (!hasStreams(args, this.#connection.terms) || count === 1) return;
    throw new TandemError(
      "NOT_SERIALIZABLE",
      "Cannot send a stream to several services: its items go to one reader; send their values, or " +
        "call the services one by one through instance()",
    );
  }
}
