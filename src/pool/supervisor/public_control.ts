/**
 * What the supervisor of a pool with a target tells other processes: attached pools, and its successor. It serves
 * this interface beside the pool's channel.
 *
 * @module
 */
import { onAbort } from "../../base/abort.ts";
import { callContext } from "../../rpc/context.ts";
import { offeredMethods } from "../../rpc/interface.ts";
import { ServiceCore } from "../../rpc/service_core.ts";
import { parseServiceOptions } from "../../rpc/terms.ts";
import { transportOf } from "../../transport/targets.ts";
import type { NatsOptions } from "../../base/nats_options.ts";
import type { Listeners } from "../../base/listeners.ts";
import { controlTarget } from "./pool_channel.ts";
import type { PoolTap } from "./pool_logs.ts";
import type { LogRecord, PoolStats, WorkerExit, WorkerInfo } from "../types.ts";

/** What clients of a pool have to know. */
export interface ClientTerms {
  /** How many calls of one client can be open at once; they may be infinitely many. */
  readonly openCalls: number;
}

/** A pool, as its supervisor knows it. */
export interface ControlledPool {
  clientTerms(): ClientTerms;
  workers(): WorkerInfo[];
  stats(): PoolStats;
  exitOfCall(id: bigint): Promise<WorkerExit | undefined>;
  exitOfProcess(pid: number): Promise<WorkerExit | undefined>;
  readonly taps: Listeners<PoolTap>;
  /** Another supervisor takes over: the workers finish their calls and end. Resolves when the target is free. */
  handOver(): Promise<void>;
}

/** The interface. */
export interface PoolControl {
  clientTerms(): ClientTerms;
  workers(): WorkerInfo[];
  stats(): PoolStats;
  exitOfCall(id: bigint): Promise<WorkerExit | undefined>;
  exitOfProcess(pid: number): Promise<WorkerExit | undefined>;
  /** What is logged from the first item on, which is empty. */
  logs(): AsyncGenerator<readonly PoolTap[]>;
  handOver(): Promise<void>;
}

/** What the supervisors of a target on several machines tell: each of its own pool. */
export type FarControl = Pick<PoolControl, "workers" | "stats" | "logs">;

/** As {@linkcode serveControl}, for a target on several machines. */
export function serveFarControl(
  target: string,
  pool: ControlledPool,
  nats: NatsOptions | undefined,
): ServiceCore {
  const control: FarControl = {
    workers: () => pool.workers(),
    stats: () => pool.stats(),
    logs: () => tapped(pool.taps),
  };
  const place = controlTarget(target);
  const receiver = transportOf(place, "serve", nats).serve(place, {});
  return new ServiceCore(receiver, offeredMethods(control), parseServiceOptions({}));
}

/** The most records that wait for one reader. */
const tappedMax = 10_000;

/** Serves the interface until the service is closed. It keeps the process alive, as any service does. */
export function serveControl(target: string, pool: ControlledPool): ServiceCore {
  const control: PoolControl = {
    clientTerms: () => pool.clientTerms(),
    workers: () => pool.workers(),
    stats: () => pool.stats(),
    exitOfCall: (id) => pool.exitOfCall(id),
    exitOfProcess: (pid) => pool.exitOfProcess(pid),
    logs: () => tapped(pool.taps),
    handOver: () => pool.handOver(),
  };
  const options = { slots: 256, maxRequestBytes: 4_096, maxResponseBytes: 65_536 };
  const place = controlTarget(target);
  const receiver = transportOf(place, "serve").serve(place, options);
  return new ServiceCore(receiver, offeredMethods(control), parseServiceOptions(options));
}

async function* tapped(taps: Listeners<PoolTap>): AsyncGenerator<readonly PoolTap[]> {
  const queue = new TapQueue();
  const stopListening = onAbort(callContext()!.signal, () => queue.end());
  const listening = taps.add((tap) => queue.add(tap));
  try {
    while (!queue.hasEnded) {
      yield queue.take();
      await queue.filled();
    }
  } finally {
    listening[Symbol.dispose]();
    stopListening();
  }
}

/** Events that wait for one reader, which may be slow, or stopped. */
class TapQueue {
  #taps: PoolTap[] = [];
  /** The first record for which there was no room, and how many there were. */
  #dropped: { readonly record: LogRecord; count: number } | null = null;
  #wake: () => void = () => {};
  hasEnded = false;

  add(tap: PoolTap): void {
    // Sessions wait for the others.
    if ("record" in tap && this.#taps.length >= tappedMax) {
      this.#dropped ??= { record: tap.record, count: 0 };
      this.#dropped.count += 1;
    } else this.#taps.push(tap);
    this.#wake();
  }

  take(): readonly PoolTap[] {
    const taps = this.#taps;
    if (this.#dropped) taps.push({ record: droppedRecord(this.#dropped), session: null });
    this.#taps = [];
    this.#dropped = null;
    return taps;
  }

  /** Resolves when there is something to take, or no reader. */
  async filled(): Promise<void> {
    if (this.#taps.length > 0 || this.hasEnded) return;
    await new Promise<void>((resolve) => this.#wake = resolve);
  }

  end(): void {
    this.hasEnded = true;
    this.#wake();
  }
}

function droppedRecord(
  { record, count }: { readonly record: LogRecord; readonly count: number },
): LogRecord {
  return {
    ...record,
    level: "warning",
    message: `${count} log records were dropped: this process reads them too slowly`,
    properties: { dropped: count },
    call: null,
    timers: [],
  };
}
