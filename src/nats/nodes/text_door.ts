/**
 * Messages to ports from programs that are no nodes, in any language: JSON on a subject of the group, which any node of
 * it takes, and on one of each node.
 *
 * ```
 * ["send", PORT, [TAG, ARGUMENT…]]                      ["taken"]
 * ["call", PORT, METHOD, [ARGUMENT…], MILLISECONDS?]    ["answer", VALUE]   ["thrown", VALUE]
 * ["pick", FAMILY]                                      ["answer", PORT or null]
 * ```
 *
 * Each may be answered with `["failed", CODE, MESSAGE]` instead.
 *
 * @module
 */
import { codeOf, textOf } from "../../base/guard.ts";
import { type ErrorCode, RemoteError, TandemError } from "../../errors.ts";
import { plainValue } from "../../node/frame_text.ts";
import type { NodeAccess } from "../../node/parts.ts";
import type { ClientMessage } from "../client.ts";
import { acquireLink, type Link, LinkSubscription } from "../link.ts";
import { queueGroup } from "../target.ts";
import type { Network } from "./network.ts";
import { valueOfText } from "./text_values.ts";

/** How long a call may take if it does not say so, in milliseconds. */
const callMilliseconds = 60_000;
const callMillisecondsMax = 2 ** 31 - 1;
/** One more is refused. */
const callsMax = 1_024;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** What is asked, and where the answer goes: nowhere if it is empty. */
interface Asked {
  readonly data: Uint8Array;
  readonly replyTo: string;
}

export class TextDoor {
  /** Messages that are none of these, and others that could not be done. */
  refused = 0;
  readonly #link: Link;
  readonly #subscriptions: readonly LinkSubscription[];
  readonly #maxMessageBytes: number;
  #access: NodeAccess | null = null;
  /** Those that have come before the node could take them. */
  #early: Asked[] = [];
  #calls = 0;

  /** Takes messages once the link has told the server, and handles them once it is open. */
  constructor(network: Network, id: string, maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#link = acquireLink(network.link);
    const take = (data: Uint8Array, { reply = "" }: ClientMessage) =>
      this.#take({ data, replyTo: reply });
    // A link that is refused is told by those who need it more.
    const ignore = () => {};
    this.#subscriptions = [
      new LinkSubscription(network.text, queueGroup, take, ignore),
      new LinkSubscription(network.textOf(id), undefined, take, ignore),
    ];
    for (const each of this.#subscriptions) this.#link.subscribe(each);
  }

  open(access: NodeAccess): void {
    this.#access = access;
    for (const asked of this.#early.splice(0)) this.#handle(access, asked);
  }

  close(): void {
    for (const { replyTo } of this.#early.splice(0)) {
      this.#fail(replyTo, "BUSY", "Cannot take a message: the node has not started; try again");
    }
    for (const each of this.#subscriptions) this.#link.unsubscribe(each);
    this.#link.release();
  }

  #take({ data, replyTo }: Asked): void {
    if (this.#access) this.#handle(this.#access, { data, replyTo });
    else this.#early.push({ data: data.slice(), replyTo });
  }

  #handle(access: NodeAccess, { data, replyTo }: Asked): void {
    try {
      const [kind, ...items] = this.#read(data);
      switch (kind) {
        case "send":
          return this.#answer(replyTo, this.#send(access, items));
        case "call":
          return void this.#call(access, items, replyTo);
        case "pick":
          return this.#answer(replyTo, ["answer", pick(access, items)]);
        default:
          throw corrupt("it is neither send, call nor pick");
      }
    } catch (error) {
      this.#fail(replyTo, codeOf(error) ?? "INVALID_ARGUMENTS", error);
    }
  }

  /** @throws {TandemError} `TOO_LARGE`, `CORRUPT` */
  #read(data: Uint8Array): unknown[] {
    if (data.byteLength > this.#maxMessageBytes) {
      throw new TandemError(
        "TOO_LARGE",
        `Cannot take a message of ${data.byteLength} bytes: maxMessageBytes of this node is ` +
          `${this.#maxMessageBytes}`,
      );
    }
    let message: unknown;
    try {
      message = valueOfText(JSON.parse(decoder.decode(data)));
    } catch (error) {
      throw corrupt(textOf(error));
    }
    if (!Array.isArray(message)) throw corrupt("it is no array");
    return message;
  }

  #send(access: NodeAccess, [port, message, ...more]: readonly unknown[]): readonly unknown[] {
    if (!isId(port) || !Array.isArray(message) || more.length > 0) {
      throw corrupt('send is ["send", PORT, [TAG, ARGUMENT…]]');
    }
    if (access.send(port, message)) return ["taken"];
    throw new TandemError("PORT_DIED", `Cannot send a message to ${port}: there is no such port`);
  }

  /** Never rejects. */
  async #call(access: NodeAccess, items: readonly unknown[], replyTo: string): Promise<void> {
    try {
      const [port, method, args, milliseconds = callMilliseconds, ...more] = items;
      const isRight = isId(port) && typeof method === "string" &&
        Array.isArray(args) && isTime(milliseconds) && more.length === 0;
      if (!isRight) {
        throw corrupt('call is ["call", PORT, METHOD, [ARGUMENT…], MILLISECONDS]');
      }
      if (this.#calls >= callsMax) {
        throw new TandemError(
          "BUSY",
          `Cannot call ${method} of ${port}: ${callsMax} calls wait already`,
        );
      }
      this.#calls += 1;
      try {
        const value = await access.call(port, method, args, milliseconds);
        this.#answer(replyTo, ["answer", value]);
      } finally {
        this.#calls -= 1;
      }
    } catch (error) {
      const code = codeOf(error);
      // Classes of errors that all nodes know stay what they are.
      if (code !== undefined && code !== "REMOTE") return this.#fail(replyTo, code, error);
      this.#answer(replyTo, ["thrown", error instanceof RemoteError ? asThrown(error) : error]);
    }
  }

  #fail(replyTo: string, code: ErrorCode, error: unknown): void {
    this.refused += 1;
    this.#answer(replyTo, ["failed", code, textOf(error)]);
  }

  /** Never throws. */
  #answer(replyTo: string, answer: readonly unknown[]): void {
    if (replyTo === "") return;
    const bytes = textOfAnswer(answer);
    const { maxPayload } = this.#link;
    if (bytes.byteLength <= maxPayload) return this.#link.answer(replyTo, bytes);
    const message = `Cannot answer with ${bytes.byteLength} bytes: the server takes ${maxPayload}`;
    this.#link.answer(replyTo, textOfAnswer(["failed", "TOO_LARGE", message]));
  }
}

function textOfAnswer(answer: readonly unknown[]): Uint8Array {
  try {
    return encoder.encode(JSON.stringify(plainValue(answer)));
  } catch (error) {
    return encoder.encode(JSON.stringify(["failed", "NOT_SERIALIZABLE", textOf(error)]));
  }
}

/** An error as it was thrown. */
function asThrown({ remoteName, remoteMessage, remoteProperties }: RemoteError): Error {
  const error = new Error(remoteMessage);
  return Object.assign(error, { ...remoteProperties, name: remoteName, message: remoteMessage });
}

function pick(access: NodeAccess, [family, ...more]: readonly unknown[]): string | null {
  if (typeof family === "string" && more.length === 0) return access.pick(family);
  throw corrupt('pick is ["pick", FAMILY]');
}

function isId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value[0] !== "#";
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= callMillisecondsMax;
}

function corrupt(why: string): TandemError {
  return new TandemError("CORRUPT", `Cannot read a message to a node: ${why}`);
}
