/**
 * A client of ZeroMQ that asks again when it gets no answer: the lazy pirate of the ZeroMQ guide.
 *
 * @module
 */
import { checkTimeout, checkWhole } from "../base/checks.ts";
import { encode, newEncoded } from "../channel/encoding.ts";
import type { Payload } from "../channel/payload.ts";
import { backend } from "../runtime/current.ts";
import { now } from "../runtime/timers.ts";
import { checkEndpoint, needsIpv6 } from "./endpoint.ts";
import { libzmq, newContext, Option } from "./libzmq.ts";
import { checkKey } from "./options.ts";
import { Poller } from "./poller.ts";
import { ZmqSocket } from "./socket.ts";
import { publicKeyOf } from "./zap.ts";

/** How to ask. */
export interface ZmqRequestOptions {
  /**
   * How long each attempt waits for the answer, in milliseconds.
   *
   * @default 10000
   */
  timeout?: number;
  /**
   * How often to ask, the first time included. Each time is a connection of its own with the same identity, so a door
   * that is still at work runs the request once.
   *
   * @default 2
   */
  attempts?: number;
  /**
   * The client's identity: 1 to 255 bytes of UTF-8. No other client may have it at the same time.
   *
   * @default a name with the process id and a random number
   */
  identity?: string;
  /**
   * For a door with `idFrame`: sends a random id before the payload, the same with each attempt, so that the request
   * runs once. The answer's frames come without it.
   *
   * @default false
   */
  idFrame?: boolean;
  /** For a server with CURVE: its public key, and this client's secret one, both in Z85. */
  curve?: { serverKey: string; secretKey: string };
  /** Runs when an attempt got no answer, and another one follows. */
  onRetry?: (attempt: number) => void;
}

const identityBytesMax = 255;

/**
 * Sends a request to any server of ZeroMQ and waits for the answer. Blocks the thread: for command lines and tests.
 *
 * @param endpoint where the server listens: `tcp://HOST:PORT` or `ipc://PATH`
 * @returns the frames of the answer; null: there was none, after all attempts
 * @throws {TypeError} {RangeError} for wrong arguments
 * @throws {TandemError} `UNSUPPORTED` where libzmq is missing
 */
export function zmqRequestSync(
  endpoint: string,
  payload: Payload,
  options: ZmqRequestOptions = {},
): Uint8Array<ArrayBuffer>[] | null {
  const {
    timeout = 10_000,
    attempts = 2,
    identity = ownIdentity(),
    curve,
    onRetry,
    idFrame = false,
  } = options;
  checkEndpoint(endpoint, "endpoint");
  const wait = checkTimeout(timeout, "timeout");
  checkWhole(attempts, "attempts", 1, Number.MAX_SAFE_INTEGER);
  const id = new TextEncoder().encode(identity);
  // libzmq gives out the ones that begin with a zero itself.
  if (id.byteLength < 1 || id.byteLength > identityBytesMax || id[0] === 0) {
    throw new RangeError(
      `Cannot use an identity of ${id.byteLength} bytes: give 1 to ${identityBytesMax}, the first of them not zero`,
    );
  }
  const keys = curve && {
    server: checkKey(curve.serverKey, "curve.serverKey", false),
    secret: checkKey(curve.secretKey, "curve.secretKey", true),
  };
  const encoded = newEncoded();
  encode(payload, encoded);
  const payloadFrame = encoded.bytes.slice(0, encoded.length);
  const request = idFrame ? [randomId(), payloadFrame] : [payloadFrame];
  const zmq = libzmq();
  const context = newContext();
  try {
    for (let attempt = 1;; attempt++) {
      const answer = ask(context, endpoint, request, id, wait, keys);
      if (answer) return idFrame ? answer.slice(1) : answer;
      if (attempt === attempts) return null;
      onRetry?.(attempt);
    }
  } finally {
    zmq.zmq_ctx_term(context);
  }
}

function ask(
  context: bigint,
  endpoint: string,
  request: readonly Uint8Array[],
  identity: Uint8Array,
  timeout: number,
  keys: { readonly server: string; readonly secret: string } | undefined,
): Uint8Array<ArrayBuffer>[] | null {
  const socket = new ZmqSocket(context, "req");
  try {
    socket.setBytes(Option.routingId, identity);
    if (needsIpv6(endpoint)) socket.setNumber(Option.ipv6, 1);
    if (keys) {
      socket.setText(Option.curveServerKey, keys.server);
      socket.setText(Option.curvePublicKey, publicKeyOf(keys.secret));
      socket.setText(Option.curveSecretKey, keys.secret);
    }
    if (!socket.connect(endpoint)) {
      throw new TypeError(
        `Cannot use ${
          JSON.stringify(endpoint)
        } as endpoint: libzmq does not take it; give another one`,
      );
    }
    socket.send(request);
    const deadline = Number.isNaN(timeout) ? Infinity : now() + timeout;
    const poller = new Poller([{ socket: socket.address }]);
    for (;;) {
      const woken = poller.wait(Math.max(0, deadline - now()));
      if (woken === "ready") return receiveAll(socket);
      if (woken === "ended" || now() >= deadline) return null;
    }
  } finally {
    socket.close();
  }
}

function receiveAll(socket: ZmqSocket): Uint8Array<ArrayBuffer>[] {
  const frames: Uint8Array<ArrayBuffer>[] = [];
  do frames.push(socket.receiveWhole()); while (socket.hasMore);
  return frames;
}

function randomId(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}

function ownIdentity(): string {
  return `client_${backend().pid}_${Math.random().toString(36).slice(2, 10)}`;
}
