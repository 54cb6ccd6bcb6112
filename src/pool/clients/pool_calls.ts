/**
 * Calls of the workers of a pool, from the process of its supervisor or from another one.
 *
 * @module
 */
import { endedCall } from "../../channel/ended_calls.ts";
import { codeOf } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import { errorOfCall } from "../../rpc/call_errors.ts";
import { CallPromise } from "../../rpc/call_promise.ts";
import { Connection } from "../../rpc/connection.ts";
import { type Everywhere, everywhere } from "../../rpc/everywhere.ts";
import { LineKeeper } from "../../rpc/line.ts";
import type { Lines } from "../../rpc/lines.ts";
import type { ConnectOptions } from "../../rpc/options.ts";
import { fail } from "../../rpc/raising.ts";
import { type Caller, remoteThrough } from "../../rpc/remote.ts";
import { type CallTerms, parseConnectOptions } from "../../rpc/terms.ts";
import type { Remote } from "../../rpc/types.ts";
import { now } from "../../runtime/timers.ts";
import { type ConnectTarget, targetName, transportOf } from "../../transport/targets.ts";
import type { ErrorClasses } from "../../codec/error_classes.ts";
import { describeExit } from "../supervisor/exits.ts";
import { tooManyOpen } from "./refused_calls.ts";
import type { PoolCallOptions } from "../options.ts";
import { explainStart } from "../supervisor/start_error.ts";
import type { WorkerExit } from "../types.ts";

/** What calls need of their pool. */
export interface CallHome {
  /** The most calls that this client has open at once. */
  readonly openMax: number;
  /** Milliseconds for each call, unless it has a timeout of its own. */
  readonly timeout: number;
  readonly idempotent: boolean | readonly string[];
  readonly callOptions: PoolCallOptions;
  /** Instead of those of {@linkcode callOptions}. */
  readonly errorClasses?: ErrorClasses;
  /** Why the pool takes no call; null: it does. */
  refusal(): TandemError | null;
  /** A call is made. */
  stir(): void;
  /** A call is one too many: {@linkcode openMax} may be out of date. */
  isFull?(): void;
  /** How the worker has ended that had a call; undefined: nobody knows. Never rejects. */
  exitOfCall(id: bigint): Promise<WorkerExit | undefined>;
}

export class PoolCalls<Api extends object> implements Caller {
  readonly connection: Connection;
  readonly remote: Remote<Api>;
  readonly everywhere: Everywhere<Remote<Api>>;
  readonly #home: CallHome;
  #open = 0;

  /**
   * @param wrap makes lines of those to the pool's channel
   * @param name the target for messages
   */
  constructor(
    target: ConnectTarget,
    home: CallHome,
    wrap: (lines: Lines) => Lines = (lines) => lines,
    name: string = targetName(target),
  ) {
    this.#home = home;
    const { timeout, idempotent, callOptions, errorClasses } = home;
    const options: ConnectOptions = {
      ...callOptions,
      timeout,
      ...(idempotent !== false && { idempotent }),
      whenFull: "fail",
      // A worker that dies in a call of an idempotent method is enough: the pool has tried others.
      retry: { attempts: 1 },
    };
    const terms = { ...parseConnectOptions(options), ...(errorClasses && { errorClasses }) };
    const transport = transportOf(target, "connect to");
    const lines = new LineKeeper(name, transport, terms.errorClasses, terms.limits);
    lines.complete = (error, deadline) => this.#complete(error, deadline);
    this.connection = new Connection(target, terms, wrap(lines));
    const { connection } = this;
    const state = { target: lines.target, connection, options, caller: this };
    this.remote = remoteThrough(state) as Remote<Api>;
    this.everywhere = everywhere(this.remote as Remote<Api> & Disposable);
  }

  call(method: string, args: readonly unknown[], terms: CallTerms): CallPromise<unknown> {
    const home = this.#home;
    const refusal = home.refusal() ?? this.#fullness();
    if (refusal) return this.#refused(refusal, method, terms);
    home.stir();
    const call = this.connection.call(method, args, terms);
    if (home.openMax !== Infinity) this.#count(call);
    return call;
  }

  #count(call: CallPromise<unknown>): void {
    this.#open += 1;
    const end = () => void (this.#open -= 1);
    call.then(end, end);
  }

  #fullness(): TandemError | null {
    const { openMax } = this.#home;
    if (this.#open < openMax) return null;
    this.#home.isFull?.();
    return tooManyOpen(this.#open);
  }

  #refused(error: TandemError, method: string, { site, signal }: CallTerms): CallPromise<unknown> {
    const opened = CallPromise.open();
    const { target } = this.connection;
    fail(opened, errorOfCall(error, { target, method, site }, false, signal));
    return opened.promise;
  }

  #complete(error: unknown, deadline: number): Promise<unknown> | undefined {
    switch (codeOf(error)) {
      case "SERVER_DIED":
        return this.#withExit(error as TandemError, now() >= deadline);
      case "REMOTE": {
        const explained = explainStart(error);
        return explained === error ? undefined : Promise.resolve(explained);
      }
      case "NO_SERVER":
        return Promise.resolve(
          new TandemError("TIMEOUT", "Cannot finish a call: no worker was ready in time"),
        );
    }
    return undefined;
  }

  /** @param isLate the time of the call was over: its worker may have been killed before this client has looked */
  async #withExit(error: TandemError, isLate: boolean): Promise<unknown> {
    const id = endedCall(error);
    const exit = id === undefined ? undefined : await this.#home.exitOfCall(id);
    if (!exit) return error;
    const code = isLate && exit.reason === "timeout" ? "TIMEOUT" : "SERVER_DIED";
    return new TandemError(code, `Cannot finish a call: ${describeExit(exit)}`, {
      cause: exit,
    });
  }

  /** Calls that are open end with `CLOSED`. */
  close(): void {
    this.connection.close();
  }
}
