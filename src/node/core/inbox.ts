/**
 * Reads what other nodes send. Anything may arrive: what is no frame is counted, and never throws.
 *
 * @module
 */
import { isTandemError } from "../../base/guard.ts";
import type { Thrown } from "../../codec/decoder.ts";
import { corrupt } from "../../codec/reader.ts";
import type { Bytes } from "../../codec/writer.ts";
import type { Reason, TandemError } from "../../errors.ts";
import { FrameDecoder, type FrameLimits, Kind } from "../frames.ts";
import type { Chain } from "../ports/invocation.ts";
import { readReason } from "../reason.ts";
import type { NodeBase } from "./node_base.ts";

/** Messages to ports. As with all handlers here, nothing throws. */
export interface MessageHandler {
  onSend(local: string, message: unknown[]): void;
  onKill(from: string, local: string, reason: Reason): void;
  /** A message to a port cannot be read. */
  onUnreadable(from: string, local: string, error: TandemError): void;
}

/** Calls of ports. */
export interface CallHandler {
  onCall(
    from: string,
    id: number,
    local: string,
    method: string,
    args: unknown[],
    chain: Chain,
    milliseconds: number,
  ): void;
  onUnreadableCall(from: string, id: number, error: TandemError): void;
  /** The other node does not wait any more: for an answer, or for room. */
  onCancel(from: string, id: number): void;
}

/** Questions for room in ports. */
export interface RoomHandler {
  onReady(from: string, id: number, local: string): void;
}

/** Answers to what this node has asked. */
export interface AnswerHandler {
  onAnswer(from: string, id: number, value: unknown): void;
  onThrown(from: string, id: number, thrown: Thrown): void;
  onFailed(from: string, id: number, code: string, message: string, reason: Reason | null): void;
  onUnreadableAnswer(from: string, id: number, error: TandemError): void;
}

/** Monitors that other nodes set here. */
export interface WatchHandler {
  onMonitor(from: string, id: number, local: string): void;
  onUnmonitor(from: string, id: number): void;
}

/** Ends of ports that this node monitors. */
export interface DownHandler {
  onDown(from: string, id: number, reason: Reason): void;
}

/** Ports that other nodes spawn here. */
export interface SpawnHandler {
  onSpawn(from: string, local: string, name: string, args: unknown[]): void;
}

/** A probe of calls that wait for each other. */
export interface Probe {
  /** The call that the probe is about: the node that has made it, and its number there. */
  readonly node: string;
  readonly call: number;
  /** Only nodes on the way of the probe know it. */
  readonly key: string;
  /** When the call was made, in milliseconds since 1970. */
  readonly since: number;
  /** The ports on the way, the first is the one that has made the call. */
  readonly path: readonly string[];
}

/** Probes that follow a call of this node's ports. */
export interface ProbeHandler {
  onProbe(from: string, id: number, probe: Probe): void;
}

/** Who does what frames say. */
export interface FrameHandlers {
  readonly messages: MessageHandler;
  readonly calls: CallHandler;
  readonly room: RoomHandler;
  readonly answers: AnswerHandler;
  readonly watching: WatchHandler;
  readonly monitoring: DownHandler;
  readonly spawning: SpawnHandler;
  readonly probes: ProbeHandler;
}

/** The longest id of a node or key of a probe. */
const probeTextMax = 128;
/** The longest chain of calls. */
const chainMax = 512;

export class Inbox {
  readonly #base: NodeBase;
  readonly #limits: FrameLimits;
  readonly #messages: MessageHandler;
  readonly #handlers: FrameHandlers;
  readonly #decoder = new FrameDecoder();
  // Known while a frame is read that names them.
  #local: string | null = null;
  #call: number | null = null;
  #answer: number | null = null;

  constructor(base: NodeBase, handlers: FrameHandlers) {
    this.#base = base;
    this.#limits = base.limits;
    this.#messages = handlers.messages;
    this.#handlers = handlers;
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
      this.#messages.onSend(local, message);
    } catch (error) {
      this.#failed(from, error);
    }
  }

  #failed(from: string, error: unknown): void {
    const [local, call, answer] = [this.#local, this.#call, this.#answer];
    this.#local = this.#call = this.#answer = null;
    this.#decoder.close();
    const isFrame = isTandemError(error);
    if (isFrame && call !== null) this.#handlers.calls.onUnreadableCall(from, call, error);
    else if (isFrame && local !== null) this.#messages.onUnreadable(from, local, error);
    else if (isFrame && answer !== null) {
      this.#handlers.answers.onUnreadableAnswer(from, answer, error);
    } else this.#base.dropMalformed(from, error);
  }

  #takeOther(from: string, kind: number): void {
    const decoder = this.#decoder;
    const handlers = this.#handlers;
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
        return handlers.messages.onKill(from, local, reason);
      }
      case Kind.spawn: {
        const [local, name] = [decoder.text(), decoder.text()];
        const args = decoder.list();
        decoder.done(4);
        return handlers.spawning.onSpawn(from, local, name, args);
      }
    }
    const id = decoder.unsigned();
    switch (kind) {
      case Kind.cancel:
        decoder.done(2);
        return handlers.calls.onCancel(from, id);
      case Kind.unmonitor:
        decoder.done(2);
        return handlers.watching.onUnmonitor(from, id);
      case Kind.monitor: {
        const local = decoder.text();
        decoder.done(3);
        return handlers.watching.onMonitor(from, id, local);
      }
      case Kind.ready: {
        const local = decoder.text();
        decoder.done(3);
        return handlers.room.onReady(from, id, local);
      }
      case Kind.probe: {
        const [node, call, key] = [decoder.text(), decoder.unsigned(), decoder.text()];
        // Probes are remembered by it.
        if (node.length > probeTextMax || key.length > probeTextMax) {
          throw corrupt("a probe is long");
        }
        const probe = {
          node,
          call,
          key,
          since: readTime(decoder.value()),
          path: readPath(decoder.list()),
        };
        decoder.done(7);
        return handlers.probes.onProbe(from, id, probe);
      }
      case Kind.down: {
        const reason = readReason(decoder.value());
        decoder.done(3);
        return handlers.monitoring.onDown(from, id, reason);
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
    const milliseconds = readTime(decoder.value() ?? Infinity);
    decoder.done(7);
    this.#local = this.#call = null;
    this.#handlers.calls.onCall(from, id, local, method, args, chain, milliseconds);
  }

  #takeAnswer(from: string, kind: number): void {
    const decoder = this.#decoder;
    const { answers } = this.#handlers;
    const id = this.#answer = decoder.unsigned();
    if (kind === Kind.answer) {
      const value = decoder.value();
      decoder.done(3);
      this.#answer = null;
      answers.onAnswer(from, id, value);
    } else if (kind === Kind.thrown) {
      const thrown = decoder.thrown();
      decoder.done(thrown.isError ? 4 : 5);
      this.#answer = null;
      answers.onThrown(from, id, thrown);
    } else {
      const [code, message] = [decoder.text(), decoder.text()];
      const value = decoder.value();
      const reason = value === null ? null : readReason(value);
      decoder.done(5);
      this.#answer = null;
      answers.onFailed(from, id, code, message, reason);
    }
  }
}

function readTime(time: unknown): number {
  if (typeof time === "number" && time >= 0) return time;
  throw corrupt("a time is missing");
}

function readPath(path: unknown[]): string[] {
  if (path.every((item) => typeof item === "string")) return path as string[];
  throw corrupt("a path of calls is missing");
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
