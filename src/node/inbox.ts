/**
 * Reads what other nodes send. Anything may arrive: what is no frame is counted, and never throws.
 *
 * @module
 */
import { isTandemError } from "../base/guard.ts";
import type { Thrown } from "../codec/decoder.ts";
import { corrupt } from "../codec/reader.ts";
import type { Bytes } from "../codec/writer.ts";
import type { Reason, TandemError } from "../errors.ts";
import { FrameDecoder, type FrameLimits, Kind } from "./frames.ts";
import type { Chain } from "./ports/invocation.ts";
import { readReason } from "./reason.ts";

/** Does what frames say. Nothing here throws. */
export interface FrameHandler {
  onSend(from: string, local: string, message: unknown[]): void;
  onCall(
    from: string,
    id: number,
    local: string,
    method: string,
    args: unknown[],
    chain: Chain,
    milliseconds: number,
  ): void;
  onAnswer(from: string, id: number, value: unknown): void;
  onThrown(from: string, id: number, thrown: Thrown): void;
  onFailed(from: string, id: number, code: string, message: string, reason: Reason | null): void;
  onCancel(from: string, id: number): void;
  onMonitor(from: string, id: number, local: string): void;
  onUnmonitor(from: string, id: number): void;
  onDown(from: string, id: number, reason: Reason): void;
  onKill(from: string, local: string, reason: Reason): void;
  onSpawn(from: string, local: string, name: string, args: unknown[]): void;
  onReady(from: string, id: number, local: string): void;
  /** A message to a port, or a call, cannot be read. */
  onUnreadable(from: string, local: string, call: number | null, error: TandemError): void;
  /** An answer cannot be read. */
  onUnreadableAnswer(from: string, id: number, error: TandemError): void;
  /** It is no frame. */
  onMalformed(from: string, error: unknown): void;
}

/** The longest chain of calls. */
const chainMax = 512;

export class Inbox {
  readonly #limits: FrameLimits;
  readonly #handler: FrameHandler;
  readonly #decoder = new FrameDecoder();
  // Known while a frame is read that names them.
  #local: string | null = null;
  #call: number | null = null;
  #answer: number | null = null;

  constructor(limits: FrameLimits, handler: FrameHandler) {
    this.#limits = limits;
    this.#handler = handler;
  }

  /** Takes a frame. Never throws. */
  take(from: string, bytes: Bytes, begin: number, end: number): void {
    const decoder = this.#decoder;
    try {
      const kind = decoder.open(this.#limits, bytes, begin, end);
      if (kind !== Kind.send) return this.#takeOther(from, kind);
      const local = this.#local = decoder.text();
      const message = decoder.list();
      decoder.done(3);
      this.#local = null;
      this.#handler.onSend(from, local, message);
    } catch (error) {
      this.#failed(from, error);
    }
  }

  #failed(from: string, error: unknown): void {
    const [local, call, answer] = [this.#local, this.#call, this.#answer];
    this.#local = this.#call = this.#answer = null;
    this.#decoder.close();
    if (!isTandemError(error)) this.#handler.onMalformed(from, error);
    else if (local !== null) this.#handler.onUnreadable(from, local, call, error);
    else if (answer !== null) this.#handler.onUnreadableAnswer(from, answer, error);
    else this.#handler.onMalformed(from, error);
  }

  #takeOther(from: string, kind: number): void {
    const decoder = this.#decoder;
    const handler = this.#handler;
    switch (kind) {
      case Kind.call:
        return this.#takeCall(from);
      case Kind.answer:
      case Kind.thrown:
      case Kind.failed:
        return this.#takeAnswer(from, kind);
      case Kind.kill: {
        const local = decoder.text();
        const reason = readReason(decoder.value());
        decoder.done(3);
        return handler.onKill(from, local, reason);
      }
      case Kind.spawn: {
        const [local, name] = [decoder.text(), decoder.text()];
        const args = decoder.list();
        decoder.done(4);
        return handler.onSpawn(from, local, name, args);
      }
    }
    const id = decoder.unsigned();
    switch (kind) {
      case Kind.cancel:
        decoder.done(2);
        return handler.onCancel(from, id);
      case Kind.unmonitor:
        decoder.done(2);
        return handler.onUnmonitor(from, id);
      case Kind.monitor: {
        const local = decoder.text();
        decoder.done(3);
        return handler.onMonitor(from, id, local);
      }
      case Kind.ready: {
        const local = decoder.text();
        decoder.done(3);
        return handler.onReady(from, id, local);
      }
      case Kind.down: {
        const reason = readReason(decoder.value());
        decoder.done(3);
        return handler.onDown(from, id, reason);
      }
    }
    throw corrupt(`a message between nodes has kind ${kind}`);
  }

  #takeCall(from: string): void {
    const decoder = this.#decoder;
    const id = decoder.unsigned();
    const local = decoder.text();
    [this.#local, this.#call] = [local, id];
    const method = decoder.text();
    const args = decoder.list();
    const chain = readChain(decoder.list());
    const milliseconds = decoder.value() ?? Infinity;
    if (typeof milliseconds !== "number" || !(milliseconds >= 0)) {
      throw corrupt("a time is missing");
    }
    decoder.done(7);
    this.#local = this.#call = null;
    this.#handler.onCall(from, id, local, method, args, chain, milliseconds);
  }

  #takeAnswer(from: string, kind: number): void {
    const decoder = this.#decoder;
    const handler = this.#handler;
    const id = this.#answer = decoder.unsigned();
    if (kind === Kind.answer) {
      const value = decoder.value();
      decoder.done(3);
      this.#answer = null;
      handler.onAnswer(from, id, value);
    } else if (kind === Kind.thrown) {
      const thrown = decoder.thrown();
      decoder.done(thrown.isError ? 4 : 5);
      this.#answer = null;
      handler.onThrown(from, id, thrown);
    } else {
      const [code, message] = [decoder.text(), decoder.text()];
      const value = decoder.value();
      const reason = value === null ? null : readReason(value);
      decoder.done(5);
      this.#answer = null;
      handler.onFailed(from, id, code, message, reason);
    }
  }
}

function readChain(chain: unknown[]): Chain {
  if (chain.length % 2 !== 0 || chain.length > chainMax) {
    throw corrupt("a chain of calls is missing");
  }
  for (let at = 0; at < chain.length; at += 2) {
    if (typeof chain[at] !== "string" || typeof chain[at + 1] !== "number") {
      throw corrupt("a chain of calls is missing");
    }
  }
  return chain as (string | number)[];
}
