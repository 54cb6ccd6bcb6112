/**
 * Decides which clients may connect: RFC 27, the ZeroMQ Authentication Protocol. libzmq asks at an address of this
 * process for each connection with CURVE.
 *
 * @module
 */
import { cString } from "../runtime/c_library.ts";
import { libzmq } from "./libzmq.ts";
import { ZmqSocket } from "./socket.ts";

const endpoint = "inproc://zeromq.zap.01";
const encoder = new TextEncoder();
const none = new Uint8Array(0);
const keyBytes = 32;
const version = encoder.encode("1.0");

/** The name under which a door's connections ask. */
export const zapDomain = "tandem";

export class Zap {
  readonly socket: ZmqSocket;
  readonly #allowed: ReadonlySet<string> | null;
  readonly #frame: Uint8Array<ArrayBuffer> = new Uint8Array(512);
  readonly #capacity: bigint = BigInt(this.#frame.byteLength);

  /** @param allowed public keys in Z85; null: everybody may connect */
  constructor(context: bigint, allowed: readonly string[] | null) {
    this.#allowed = allowed && new Set(allowed);
    this.socket = new ZmqSocket(context, "rep");
    // No other socket of the context can be there.
    this.socket.bind(endpoint);
  }

  close(): void {
    this.socket.close();
  }

  /** Answers all questions. */
  answer(): void {
    for (;;) {
      const frames: Uint8Array[] = [];
      do {
        const length = this.socket.receive(this.#frame, this.#capacity);
        if (length < 0) return;
        frames.push(this.#frame.slice(0, Math.min(length, this.#frame.byteLength)));
      } while (this.socket.hasMore);
      // Version, request id, domain, address, identity, mechanism, credentials.
      const [, id = none, , , , , credentials = none] = frames;
      const key = credentials.byteLength === keyBytes ? encodeKey(credentials) : null;
      const isAllowed = key !== null && (this.#allowed === null || this.#allowed.has(key));
      const [code, text, user] = isAllowed
        ? ["200", "OK", key]
        : ["400", "The key is not allowed", ""];
      const answer = [code, text, user, ""].map((part) => encoder.encode(part));
      this.socket.send([version, id, ...answer]);
    }
  }
}

/** A key in Z85. */
function encodeKey(key: Uint8Array): string {
  const text = new Uint8Array(keyBytes * 5 / 4 + 1);
  libzmq().zmq_z85_encode(text, key, BigInt(keyBytes));
  return new TextDecoder().decode(text.subarray(0, -1));
}

/** The public key that belongs to a secret one, both in Z85. */
export function publicKeyOf(secretKey: string): string {
  const text = new Uint8Array(41);
  libzmq().zmq_curve_public(text, cString(secretKey));
  return new TextDecoder().decode(text.subarray(0, -1));
}
