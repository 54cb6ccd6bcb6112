/**
 * An attached pool on a target that pools of several machines share.
 *
 * @module
 */
import type { NatsOptions } from "../../base/nats_options.ts";
import { codeOf } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import { Connection } from "../../rpc/connection.ts";
import { type Everywhere, everywhere, EverywhereCaller } from "../../rpc/everywhere.ts";
import { LineKeeper } from "../../rpc/line.ts";
import { type Caller, connect, remoteThrough, withOptions } from "../../rpc/remote.ts";
import { type CallTerms, parseConnectOptions } from "../../rpc/terms.ts";
import type { Remote } from "../../rpc/types.ts";
import { targetName, transportOf } from "../../transport/targets.ts";
import { everyWorker } from "../link/control.ts";
import type { PoolCallOptions } from "../options.ts";
import type { Session } from "../session/session.ts";
import { controlTarget } from "../supervisor/pool_channel.ts";
import type { PoolTap } from "../supervisor/pool_logs.ts";
import type { FarControl } from "../supervisor/public_control.ts";
import { explainStart } from "../supervisor/start_error.ts";
import type { PoolStats, WorkerInfo } from "../types.ts";
import type { AttachedWork } from "./attached_core.ts";
import { AttachedLogs } from "./attached_logs.ts";
import { merged } from "./merged.ts";
import { settledResult, type WorkerResult } from "./worker_results.ts";

/** How long the supervisors may take to answer a question about their pools, in milliseconds. */
const controlTimeout = 5_000;

export class FarAttachedCore<Api extends object> implements AttachedWork<Api> {
  readonly calls: AttachedWork<Api>["calls"];
  readonly logs: AttachedLogs;
  readonly #connection: Connection;
  readonly #control: Remote<FarControl>;

  constructor(
    target: string,
    timeout: number,
    callOptions: PoolCallOptions,
    nats: NatsOptions | undefined,
  ) {
    const far = nats === undefined ? {} : { nats };
    const terms = parseConnectOptions({ ...callOptions, ...far });
    const name = targetName(target);
    const transport = transportOf(target, "connect to", nats);
    const lines = new LineKeeper(name, transport, terms.errorClasses, terms.limits, target);
    lines.complete = (error) => {
      if (codeOf(error) !== "REMOTE") return undefined;
      const explained = explainStart(error);
      return explained === error ? undefined : Promise.resolve(explained);
    };
    const connection = new Connection(target, terms, lines);
    this.#connection = connection;
    const state = { target: name, connection, options: { timeout } };
    this.calls = {
      remote: remoteThrough(state) as Remote<Api>,
      everywhere: remoteThrough({ ...state, caller: new EveryWorkerCaller(connection) }) as
        & object
        & Everywhere<Remote<Api>>,
    };
    this.#control = connect<FarControl>(controlTarget(target), { timeout: controlTimeout, ...far });
    this.logs = new AttachedLogs((signal) => this.#openLogs(signal));
  }

  /** Of all pools of the target, one after another. */
  get control(): AttachedWork<Api>["control"] {
    return { workers: () => this.#workers(), stats: () => this.#stats() };
  }

  async #workers(): Promise<WorkerInfo[]> {
    return all(await everywhere(this.#asked).workers()).flat();
  }

  async #stats(): Promise<PoolStats> {
    const sum: Record<string, number> = {};
    for (const stats of all(await everywhere(this.#asked).stats())) {
      for (const [name, value] of Object.entries(stats)) sum[name] = (sum[name] ?? 0) + value;
    }
    return sum as unknown as PoolStats;
  }

  get #asked(): Remote<FarControl> {
    return withOptions(this.#control, { inheritDeadline: false });
  }

  async *#openLogs(signal: AbortSignal): AsyncGenerator<readonly PoolTap[]> {
    const asked = withOptions(this.#asked, { signal });
    const streams = all(await everywhere(asked).logs());
    yield* merged(streams as AsyncGenerator<readonly PoolTap[]>[]);
  }

  checkOut(): Promise<Session<Api>> {
    return Promise.reject(
      new TandemError(
        "UNSUPPORTED",
        `Cannot check out a worker of ${
          JSON.stringify(this.#connection.target)
        }: sessions do not ` +
          "cross machines in this version; check out in the process of the pool, or of its machine",
      ),
    );
  }

  close(): void {
    this.logs.close();
    this.#connection.close();
    this.#control[Symbol.dispose]();
  }
}

/** The answers of all supervisors. */
function all<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  if (results.length === 0) {
    throw new TandemError("NO_SERVER", "Cannot ask the pool: it has no supervisor; is it running?");
  }
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/** Calls every worker of every pool of the target. */
class EveryWorkerCaller implements Caller {
  readonly #connection: Connection;
  readonly #pools: EverywhereCaller;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#pools = new EverywhereCaller(connection);
  }

  async call(
    method: string,
    args: readonly unknown[],
    terms: CallTerms,
  ): Promise<PromiseSettledResult<unknown>[]> {
    const pools = await this.#pools.call(everyWorker, [method, args], terms);
    const { errorClasses } = this.#connection.terms;
    return pools.flatMap((pool) => {
      if (pool.status === "rejected") return [pool];
      return (pool.value as WorkerResult[]).map((result) => settledResult(result, errorClasses));
    });
  }
}
