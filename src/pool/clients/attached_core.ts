/**
 * The work of an {@linkcode AttachedPool}.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { connect, withOptions } from "../../rpc/remote.ts";
import type { Everywhere } from "../../rpc/everywhere.ts";
import type { CallTerms } from "../../rpc/terms.ts";
import type { Remote } from "../../rpc/types.ts";
import { AttachedLines } from "./attached_lines.ts";
import { AttachedLogs } from "./attached_logs.ts";
import type { PoolCallOptions } from "../options.ts";
import { type CallHome, PoolCalls } from "./pool_calls.ts";
import { controlTarget } from "../supervisor/pool_channel.ts";
import type { PoolControl } from "../supervisor/public_control.ts";
import { checkOut } from "../session/check_out.ts";
import type { Session } from "../session/session.ts";
import type { SessionHome } from "../session/session_home.ts";
import type { SessionListener } from "../session/session_logs.ts";
import type { SessionOptions } from "../options.ts";
import type { LogRecord, PoolStats, WorkerExit, WorkerInfo } from "../types.ts";

/** How long the supervisor may take to answer a question about its pool, in milliseconds. */
const controlTimeout = 5_000;

/** What an attached pool does, wherever its workers are. */
export interface AttachedWork<Api extends object> {
  readonly calls: {
    readonly remote: Remote<Api>;
    readonly everywhere: Everywhere<Remote<Api>>;
  };
  readonly control: { workers(): Promise<WorkerInfo[]>; stats(): Promise<PoolStats> };
  readonly logs: { add(listener: (record: LogRecord) => void): Disposable };
  checkOut(options: SessionOptions): Promise<Session<Api>>;
  close(): void;
}

export class AttachedCore<Api extends object> implements CallHome, SessionHome, AttachedWork<Api> {
  readonly calls: PoolCalls<Api>;
  readonly logs: AttachedLogs;
  readonly timeout: number;
  readonly callOptions: PoolCallOptions;
  // The workers know which methods may run twice.
  readonly idempotent = false;
  readonly #control: Remote<PoolControl>;
  #lines: AttachedLines | null = null;
  #isClosed = false;

  constructor(target: string, timeout: number, callOptions: PoolCallOptions) {
    this.timeout = timeout;
    this.callOptions = callOptions;
    this.#control = connect<PoolControl>(controlTarget(target), { timeout: controlTimeout });
    this.logs = new AttachedLogs((signal) => {
      // It outlives the call that has begun it.
      const terms = { signal, whenAbsent: "fail", inheritDeadline: false } as const;
      return withOptions(this.#control, terms).logs();
    });
    this.calls = new PoolCalls<Api>(target, this, (main) => {
      return this.#lines = new AttachedLines(main, async () => {
        const { openCalls } = await this.#asked.clientTerms();
        return openCalls;
      });
    });
  }

  checkOut(options: SessionOptions): Promise<Session<Api>> {
    return checkOut<Api>(this, options);
  }

  get connection(): PoolCalls<Api>["connection"] {
    return this.calls.connection;
  }

  get control(): Remote<PoolControl> {
    return this.#control;
  }

  get openMax(): number {
    return this.#lines!.openMax;
  }

  isFull(): void {
    this.#lines!.askAgain();
  }

  refusal(): TandemError | null {
    return this.#isClosed
      ? new TandemError("CLOSED", "Cannot call the pool: it was detached; attach to it again")
      : null;
  }

  /** The supervisor looks at the queue itself. */
  stir(): void {}

  call(method: string, args: readonly unknown[], terms: CallTerms): AsyncGenerator<unknown> {
    return this.calls.call(method, args, terms);
  }

  exitOfCall(id: bigint): Promise<WorkerExit | undefined> {
    return this.#find(this.#asked.exitOfCall(id));
  }

  exitOfProcess(pid: number): Promise<WorkerExit | undefined> {
    return this.#find(this.#asked.exitOfProcess(pid));
  }

  /** For questions that calls wait for: without a supervisor there is no answer, and no call has it alone. */
  get #asked(): Remote<PoolControl> {
    return withOptions(this.#control, { whenAbsent: "fail", inheritDeadline: false });
  }

  async #find(answer: Promise<WorkerExit | undefined>): Promise<WorkerExit | undefined> {
    try {
      return await answer;
    } catch {
      return undefined;
    }
  }

  onSessionLog(session: string, listener: SessionListener): Promise<() => void> {
    return this.logs.onSession(session, listener);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.logs.close();
    this.calls.close();
    this.#control[Symbol.dispose]();
  }
}
