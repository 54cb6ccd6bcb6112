/**
 * The open target of a connection. It is opened when a call needs it, and again after it was removed.
 *
 * @module
 */
import { onAbort, reasonOf } from "../base/abort.ts";
import { endedByClosing } from "../base/closing.ts";
import { codeOf } from "../base/guard.ts";
import type { ErrorClasses } from "../codec/error_classes.ts";
import { TandemError } from "../errors.ts";
import { later, laterForSure, now, timerMax } from "../runtime/timers.ts";
import type { Requester, Transport } from "../transport/transport.ts";
import { Endpoint } from "./endpoint.ts";
import type { Line, Lines } from "./lines.ts";
import { Presence } from "./presence.ts";
import { PrivatePaths } from "./private_paths.ts";
import type { Limits } from "./terms.ts";

/** Holds the line that has to be closed, without keeping its connection reachable. */
interface Held {
  line: Line | null;
}

/** Closes the lines of connections of which no remote, call or stream is left. */
const forgotten: FinalizationRegistry<Held> = new FinalizationRegistry(({ line }) => {
  if (line) closeLine(line);
});

function closeLine({ endpoint, requester, paths }: Line): void {
  paths.closeAll();
  endpoint.close();
  requester.close();
}

/** The wait for a target, which calls share. */
interface Opening {
  readonly line: Promise<Line>;
  readonly stop: AbortController;
  waiting: number;
  isOver: boolean;
  cancelEnd: (() => void) | null;
}

/**
 * How long a connection to another machine is still set up when no call waits for it any more, in milliseconds: it may
 * take longer than a call may.
 */
const setUpMilliseconds = 1_000;

export class LineKeeper implements Lines {
  /** As errors name it. */
  readonly target: string;
  readonly isRemote: boolean;
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  /** See {@linkcode Lines.complete}. */
  complete?: (error: unknown, deadline: number) => Promise<unknown> | undefined;
  /** As the transport takes it. */
  readonly #address: string;
  readonly #transport: Transport;
  readonly #held: Held = { line: null };
  readonly #closing: AbortController = new AbortController();
  #opening: Opening | null = null;

  /** @param address the target as the transport takes it, where errors must not name it so */
  constructor(
    target: string,
    transport: Transport,
    errorClasses: ErrorClasses,
    limits: Limits,
    address: string = target,
  ) {
    this.#address = address;
    this.target = target;
    this.isRemote = transport.isRemote ?? false;
    this.errorClasses = errorClasses;
    this.limits = limits;
    this.#transport = transport;
    forgotten.register(this, this.#held);
  }

  get main(): this {
    return this;
  }

  /** Aborts when the connection is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * The open line, opened now if necessary; null: there is no such target yet.
   *
   * @throws {TandemError} `CLOSED`, and the codes of opening a target
   */
  openNow(): Line | null {
    if (this.#held.line) return this.#held.line;
    if (this.closing.aborted) throw this.#closed();
    try {
      return this.#keep(this.#transport.open(this.#address));
    } catch (error) {
      if (codeOf(error) === "NOT_FOUND") return null;
      throw error;
    }
  }

  #keep(requester: Requester): Line {
    const endpoint = new Endpoint(requester, this.errorClasses, this.limits);
    const paths = new PrivatePaths(requester, endpoint);
    return this.#held.line = { requester, endpoint, paths, presence: new Presence(requester) };
  }

  /** Waits for the target until `deadline`. All calls share one wait. */
  async whenOpen(deadline: number, signal: AbortSignal | undefined): Promise<Line> {
    if (this.closing.aborted) throw endedByClosing(this.#closed());
    if (this.#held.line) return this.#held.line;
    const opening = this.#opening ??= this.#open();
    opening.waiting += 1;
    const over = Promise.withResolvers<never>();
    // Timers cannot count further, and such a wait is as good as endless.
    const left = Math.min(Math.max(0, deadline - now()), timerMax);
    const stopTimer = laterForSure(left, () => over.reject(this.notServed()));
    const stopListening = signal && onAbort(signal, () => over.reject(reasonOf(signal)));
    try {
      return await Promise.race([opening.line, over.promise]);
    } finally {
      stopTimer();
      stopListening?.();
      opening.waiting -= 1;
      if (opening.waiting === 0 && !opening.isOver) this.#unshared(opening);
    }
  }

  /** A wait that no call shares would keep the process alive. */
  #unshared(opening: Opening): void {
    const end = () => {
      if (opening.waiting > 0) return;
      opening.stop.abort();
      if (this.#opening === opening) this.#opening = null;
    };
    if (!this.isRemote) return end();
    opening.cancelEnd?.();
    opening.cancelEnd = later(setUpMilliseconds, end);
  }

  #open(): Opening {
    const stop = new AbortController();
    const { closing } = this;
    const signal = AbortSignal.any([stop.signal, closing]);
    const line = this.#transport.connect(this.#address, signal).then((requester) => {
      if (!closing.aborted && !this.#held.line) return this.#keep(requester);
      requester.close();
      if (this.#held.line) return this.#held.line;
      throw endedByClosing(this.#closed());
    }, (error) => {
      throw closing.aborted ? endedByClosing(this.#closed()) : error;
    });
    const opening: Opening = { line, stop, waiting: 0, isOver: false, cancelEnd: null };
    const over = () => {
      opening.isOver = true;
      opening.cancelEnd?.();
      if (this.#opening === opening) this.#opening = null;
    };
    // Calls get the error through the race above.
    line.then(over, over);
    return opening;
  }

  /** Closes a line whose target is gone. The next call opens another one. */
  hangUp(line: Line): void {
    if (this.#held.line !== line) return;
    this.#held.line = null;
    closeLine(line);
  }

  /** Cancels calls in flight, and ends streams. May be called twice. */
  close(): void {
    if (this.closing.aborted) return;
    this.#closing.abort();
    if (this.#held.line) this.hangUp(this.#held.line);
    this.#transport.release?.();
  }

  /** For a call that no service was there for. */
  notServed(): TandemError {
    const obstacle = this.#transport.obstacle?.();
    if (obstacle) return obstacle;
    if (this.isRemote && !this.#held.line) return this.#notConnected();
    const hint = this.isRemote ? "servers and prefix" : "TANDEM_DIR and user";
    return new TandemError(
      "NO_SERVER",
      `Cannot call a method of ${JSON.stringify(this.target)}: no service is open there; ` +
        `is it running, with the same ${hint}?`,
    );
  }

  /** Nobody knows yet whether there is a service. */
  #notConnected(): TandemError {
    return new TandemError(
      "TIMEOUT",
      `Cannot call a method of ${
        JSON.stringify(this.target)
      }: the time ran out before the connection was set up`,
    );
  }

  #closed(): TandemError {
    return new TandemError(
      "CLOSED",
      `Cannot call a method of ${JSON.stringify(this.target)}: the connection is closed; ` +
        "make another one",
    );
  }

  /** Translates an error of the line for a call, since a line may close before its connection does. */
  explain(error: unknown): unknown {
    if (codeOf(error) !== "CLOSED" || this.closing.aborted) return error;
    // The user has closed the handle or the connection to other machines that was given to connect().
    if (this.#transport.release || this.isRemote) return error;
    return new TandemError(
      "CANCELLED",
      `The call of a method of ${JSON.stringify(this.target)} was ended: its target was removed ` +
        "and created again; make the call again",
    );
  }
}
