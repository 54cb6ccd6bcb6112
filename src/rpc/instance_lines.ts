/**
 * The line of calls that go to one certain service of a target.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { codeOf } from "../base/guard.ts";
import { TandemError } from "../errors.ts";
import { laterForSure, now } from "../runtime/timers.ts";
import type { ReceiverInfo } from "../transport/transport.ts";
import type { Line, Lines, Paths } from "./lines.ts";

/**
 * How long a call waits for a service that has just started and takes no calls of its own yet, in
 * milliseconds. A process that serves the channel without typed calls never does.
 */
const patience = 2_000;

/** That very service. */
export function addresseeOf({ pid, privatePath }: ReceiverInfo): Addressee {
  return {
    title: `the service of process ${pid}`,
    find: (receivers) => receivers.find((receiver) => receiver.privatePath === privatePath),
  };
}

/** Which service is meant. */
export interface Addressee {
  /** For messages: `"process 12"`. */
  readonly title: string;
  /** Undefined: it is not there. */
  find(receivers: readonly ReceiverInfo[]): ReceiverInfo | undefined;
}

export class InstanceLines implements Lines {
  readonly target: string;
  readonly main: Lines;
  readonly #addressee: Addressee;
  readonly #paths: Paths | null;
  #line: Line | null = null;
  /** Whether the services of a remote target were just asked for. */
  #hasAsked = false;

  /** @param paths for paths of its own, which its maker closes; default: those of the line */
  constructor(main: Lines, addressee: Addressee, paths: Paths | null = null) {
    this.#paths = paths;
    this.target = main.target;
    this.main = main;
    this.#addressee = addressee;
  }

  get closing(): AbortSignal {
    return this.main.closing;
  }

  get isRemote(): boolean {
    return this.main.isRemote ?? false;
  }

  /** @throws {TandemError} `NO_SERVER` when that service is not there; `CLOSED` */
  openNow(): Line | null {
    const line = this.#line;
    if (line && line.paths.has(line)) return line;
    this.#line = null;
    const main = this.main.openNow();
    // `whenOpen` connects, and asks for the services.
    if (this.isRemote && !(main && this.#hasAsked)) return null;
    this.#hasAsked = false;
    if (!main) throw this.notServed();
    const receivers = main.requester.listReceivers();
    const paths = this.#paths ?? main.paths;
    paths.keep(new Set(receivers.map(({ privatePath }) => privatePath)));
    const found = this.#addressee.find(receivers);
    if (!found) throw this.notServed();
    return this.#line = paths.open(found.privatePath);
  }

  /** Waits for a service that is just starting. */
  async whenOpen(deadline: number, signal: AbortSignal | undefined): Promise<Line> {
    const limit = Math.min(deadline, now() + patience);
    for (let pause = 1;; pause = Math.min(50, pause * 2)) {
      if (signal?.aborted) throw reasonOf(signal);
      if (this.isRemote) await this.#ask(deadline, signal);
      const line = this.openNow();
      if (line) return line;
      const left = limit - now();
      if (left <= 0) throw this.#unreachable();
      await this.#wait(Math.min(pause, left), signal);
    }
  }

  /** Asks which services there are. */
  async #ask(deadline: number, signal: AbortSignal | undefined): Promise<void> {
    const { requester } = await this.main.whenOpen(deadline, signal);
    await requester.discover?.(deadline, signal);
    this.#hasAsked = true;
  }

  #wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        for (const stop of stops) stop();
        resolve();
      };
      const cancel = laterForSure(milliseconds, end);
      const signals = signal ? [signal, this.closing] : [this.closing];
      const stops = signals.map((one) => onAbort(one, end));
    });
  }

  hangUp(line: Line): void {
    if (this.#line === line) this.#line = null;
    line.paths.close(line);
  }

  /** The remote that it belongs to has its own end. */
  close(): void {}

  explain(error: unknown): unknown {
    if (this.closing.aborted) return this.main.explain(error);
    const line = this.#line;
    const isGone = !line || !line.paths.has(line) || line.requester.receivers === 0;
    if (!isGone || !goneCodes.has(codeOf(error) ?? "")) return error;
    return new TandemError(
      "SERVER_DIED",
      `Cannot finish a call to ${this.#place}: that service has died or closed; services() lists ` +
        "those that are open",
    );
  }

  get #place(): string {
    return `${this.#addressee.title} of ${JSON.stringify(this.target)}`;
  }

  notServed(): TandemError {
    return new TandemError(
      "NO_SERVER",
      `Cannot call ${this.#place}: it has no open service there; services() lists those that are open`,
    );
  }

  #unreachable(): TandemError {
    return new TandemError(
      "NO_SERVER",
      `Cannot call ${this.#place}: it takes no calls of its own, because it serves the channel ` +
        "without typed calls, has no folder for its private path, or has just been stopped",
    );
  }
}

/** Codes with which calls end when the service at the end of their line goes. */
const goneCodes: ReadonlySet<string> = new Set([
  "CLOSED",
  "CANCELLED",
  "NOT_FOUND",
  "SERVER_DIED",
]);
