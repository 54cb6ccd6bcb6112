/**
 * What the workers of a pool log and write.
 *
 * @module
 */
import type { SentRecord } from "../link/control.ts";
import { Listeners } from "../../base/listeners.ts";
import { type SessionListener, SessionLogs } from "../session/session_logs.ts";
import type { LogRecord } from "../types.ts";

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    readonly stdout: { write(text: string): unknown };
    readonly stderr: { write(text: string): unknown };
  };
}

/** A record, and the session in which it was logged. */
export interface PoolRecord {
  readonly record: LogRecord;
  readonly session: string | null;
}

/** What attached pools are told. */
export type PoolTap =
  | PoolRecord
  /** A session holds the worker of that number, or no more. */
  | { readonly held: number; readonly session: string | null };

export class PoolLogs {
  readonly #name: string;
  /** Programs that listen. */
  readonly listeners: Listeners<LogRecord> = new Listeners("onLog");
  /** Attached pools. */
  readonly taps: Listeners<PoolTap> = new Listeners("logs");
  readonly #sessions: SessionLogs = new SessionLogs();

  /** @param name the pool's */
  constructor(name: string) {
    this.#name = name;
  }

  add(worker: number, records: readonly SentRecord[]): void {
    for (const { session, ...sent } of records) {
      const record: LogRecord = { ...sent, worker };
      const isHeard = this.#sessions.logged(record, session);
      this.taps.tell({ record, session });
      // Without a listener nothing is lost: it is printed.
      if (!this.listeners.isEmpty) this.listeners.tell(record);
      else if (!isHeard) this.#print(record);
    }
  }

  #print({ level, message, worker, call }: LogRecord): void {
    const place = call ? ` ${call.method}:` : "";
    const sign = level === "info" ? "" : ` ${level}:`;
    for (const line of message.split("\n")) {
      this.#write("stderr", `[${this.#name} ${worker}]${sign}${place} ${line}`);
    }
  }

  /** A worker has written a line itself. */
  wrote(worker: number, stream: "stdout" | "stderr", line: string): void {
    this.#write(stream, `[${this.#name} ${worker}] ${line}`);
  }

  #write(stream: "stdout" | "stderr", line: string): void {
    const { process } = globalThis as unknown as Global;
    process[stream].write(`${line}\n`);
  }

  /** A session holds the worker, or no more. */
  held(worker: number, session: string | null): void {
    this.#sessions.held(worker, session);
    this.taps.tell({ held: worker, session });
  }

  /** Listens to one session. The returned function stops that. */
  onSession(session: string, listener: SessionListener): () => void {
    return this.#sessions.add(session, listener);
  }

  end(): void {
    this.#sessions.end();
  }
}
