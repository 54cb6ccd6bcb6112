/**
 * The service through which callers on other machines reach a pool: it passes their calls to the pool's channel.
 *
 * @module
 */
import { isTandemError } from "../../base/guard.ts";
import type { Client } from "../../channel/client.ts";
import { PassedErrors } from "../../codec/error_classes.ts";
import { RemoteError, TandemError } from "../../errors.ts";
import { callContext } from "../../rpc/context.ts";
import { deliveryOf } from "../../rpc/call_contexts.ts";
import { EverywhereCaller } from "../../rpc/everywhere.ts";
import { ServiceCore } from "../../rpc/service_core.ts";
import { type CallTerms, parseCallOptions, parseServiceOptions } from "../../rpc/terms.ts";
import { later, timerMax } from "../../runtime/timers.ts";
import { targetName, transportOf } from "../../transport/targets.ts";
import { type CallHome, PoolCalls } from "../clients/pool_calls.ts";
import type { WorkerResult } from "../clients/worker_results.ts";
import { PassedMethods } from "./passed_methods.ts";
import type { PoolTerms } from "../supervisor/terms.ts";

/** What a front needs of its pool. */
export interface FrontHome extends Pick<CallHome, "exitOfCall"> {
  readonly terms: PoolTerms;
  /** How many calls its workers can handle at once. */
  readonly places: number;
  /** The methods of the workers; none: no worker has told them yet. */
  methods(): readonly string[];
  stir(): void;
}

/** For each place there may be another call that waits for it: so workers wait for no way through the network. */
const callsPerPlace = 2;

export class PoolFront {
  /** Resolves when callers reach the pool. Rejects with the reason why they cannot. */
  readonly opened: Promise<void>;
  readonly #home: FrontHome;
  readonly #calls: PoolCalls<object>;
  readonly #service: ServiceCore;
  readonly #terms: CallTerms;
  #isClosed = false;
  #hasEnded = false;

  /** @param client a handle of its own on the pool's channel, which it closes */
  constructor(home: FrontHome, client: Client) {
    this.#home = home;
    const { target, callOptions, nats, idempotent, startTimeout } = home.terms;
    const { maxMessageBytes, maxTreeBytes, version } = callOptions;
    const sizes = {
      ...(maxMessageBytes !== undefined && { maxMessageBytes }),
      ...(maxTreeBytes !== undefined && { maxTreeBytes }),
      ...(version !== undefined && { version }),
    };
    const errorClasses = new PassedErrors();
    this.#calls = new PoolCalls(
      client,
      {
        openMax: Infinity,
        timeout: Infinity,
        idempotent,
        callOptions: sizes,
        errorClasses,
        refusal: () => null,
        stir: () => home.stir(),
        exitOfCall: (id) => home.exitOfCall(id),
      },
      undefined,
      targetName(target!),
    );
    // Workers know which methods may run twice.
    this.#terms = parseCallOptions({ timeout: Infinity, retry: { attempts: 1 } });
    const methods = new PassedMethods(
      () => home.methods(),
      (method, args) => this.#pass(method, args),
      (method, args) => this.#passEverywhere(method, args),
    );
    const options = { ...sizes, idempotent, concurrency: this.#limit, ...(nats && { nats }) };
    const receiver = transportOf(target!, "serve", nats).serve(target!, {});
    const terms = { ...parseServiceOptions(options), errorClasses };
    this.#service = new ServiceCore(receiver, methods, terms);
    this.#service.finished.then(() => this.#end(), () => this.#end());
    this.opened = inTime(this.#service.ready, startTimeout, targetName(target!));
    // Who awaits the pool hears of it.
    this.opened.catch(() => {});
  }

  get #limit(): number {
    return callsPerPlace * this.#home.places;
  }

  /** The pool has another size. */
  resized(): void {
    this.#service.concurrency = this.#limit;
  }

  /** No call is in progress that has come through it. */
  get isIdle(): boolean {
    return this.#hasEnded;
  }

  #callTerms(): CallTerms {
    const context = callContext()!;
    const { signal, metadata, traceparent, tracestate } = context;
    const hasMetadata = Object.keys(metadata).length > 0;
    // Others than this package need not name a time limit.
    const timeout = deliveryOf(context)?.isForwarded ? this.#home.terms.timeout : Infinity;
    return {
      ...this.#terms,
      timeout,
      signal,
      traceparent,
      tracestate,
      metadata: hasMetadata ? Object.fromEntries(Object.entries(metadata)) : undefined,
    };
  }

  #pass(method: string, args: readonly unknown[]): unknown {
    return this.#calls.call(method, args, this.#callTerms());
  }

  async #passEverywhere(method: string, args: readonly unknown[]): Promise<WorkerResult[]> {
    const caller = new EverywhereCaller(this.#calls.connection);
    const results = await caller.call(method, args, this.#callTerms());
    return results.map((result) =>
      result.status === "fulfilled" ? ["value", result.value] : failureOf(result.reason)
    );
  }

  /** Takes no new calls: they go to other pools of the target. Twice is fine. */
  leave(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    void this.#service.close();
  }

  /** Ends the calls in progress after `timeout` milliseconds. */
  async close(timeout: number): Promise<void> {
    this.#isClosed = true;
    await this.#service.close({ timeout });
  }

  #end(): void {
    this.#hasEnded = true;
    this.#calls.close();
  }

  unlink(): boolean {
    return this.#service.unlink();
  }
}

function failureOf(reason: unknown): WorkerResult {
  if (!isTandemError(reason)) return ["thrown", reason];
  if (reason instanceof RemoteError) return ["thrown", reason.cause];
  return ["failed", reason.code, reason.message, reason.cause];
}

/** As `ready`, but not longer than `timeout` milliseconds. */
async function inTime(ready: Promise<void>, timeout: number, target: string): Promise<void> {
  if (timeout === Infinity) return await ready;
  const late = Promise.withResolvers<never>();
  const cancel = later(Math.min(timeout, timerMax), () =>
    late.reject(
      new TandemError(
        "DISCONNECTED",
        `Cannot serve ${JSON.stringify(target)} yet: the NATS server was not reached within ` +
          `startTimeout (${timeout} ms); the pool goes on trying`,
      ),
    ));
  try {
    await Promise.race([ready, late.promise]);
  } finally {
    cancel();
  }
}
