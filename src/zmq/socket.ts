/**
 * Sockets of libzmq.
 *
 * @module
 */
import { type ErrorCode, TandemError } from "../errors.ts";
import { cString } from "../runtime/c_library.ts";
import { bytesAt } from "../runtime/c_memory.ts";
import {
  dontWait,
  ErrorNumber,
  type LibZmq,
  libzmq,
  messageBytes,
  Option,
  sendMore,
  SocketType,
} from "./libzmq.ts";

const none = new Uint8Array(0);
const noBytes = 0n;
const intBytes = 4n;

/** A copy of what a frame has. */
export function contentOf(zmq: LibZmq, frame: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytesAt(zmq.zmq_msg_data(frame), Number(zmq.zmq_msg_size(frame)));
}

/** What happened to a message. */
export type Sent = "sent" | "unreachable" | "full";

/** A socket. It belongs to its thread. */
export class ZmqSocket {
  /** The pointer. */
  readonly address: bigint;
  readonly #zmq: LibZmq;
  readonly #int: Int32Array = new Int32Array(1);
  readonly #intSize: BigUint64Array = new BigUint64Array(1);
  #isOpen = true;

  /** @throws {TandemError} when the context has ended, or has no room for another socket */
  constructor(context: bigint, type: keyof typeof SocketType) {
    this.#zmq = libzmq();
    this.address = this.#zmq.zmq_socket(context, SocketType[type]);
    if (this.address === 0n) {
      throw this.#zmq.zmq_errno() === ErrorNumber.terminated
        ? new TandemError("CLOSED", "Cannot make a ZeroMQ socket: the door has been closed")
        : new TandemError(
          "BUSY",
          "Cannot make a ZeroMQ socket: this process has no descriptors left; close some, or raise its limit",
        );
    }
    // Unsent messages must not keep a door from closing.
    this.setNumber(Option.linger, 0);
  }

  setNumber(option: number, value: number): void {
    this.#int[0] = value;
    this.#zmq.zmq_setsockopt(this.address, option, this.#int, intBytes);
  }

  setBytes(option: number, value: Uint8Array): boolean {
    const length = BigInt(value.byteLength);
    return this.#zmq.zmq_setsockopt(this.address, option, value, length) === 0;
  }

  setText(option: number, value: string): boolean {
    return this.setBytes(option, new TextEncoder().encode(value));
  }

  getNumber(option: number): number {
    this.#intSize[0] = intBytes;
    this.#zmq.zmq_getsockopt(this.address, option, this.#int, this.#intSize);
    return this.#int[0]!;
  }

  getText(option: number): string {
    const text = new Uint8Array(1_024);
    const size = new BigUint64Array([BigInt(text.byteLength)]);
    this.#zmq.zmq_getsockopt(this.address, option, text, size);
    // With the zero at its end.
    return new TextDecoder().decode(text.subarray(0, Math.max(0, Number(size[0]) - 1)));
  }

  /** @throws {TandemError} when nobody can listen there */
  bind(endpoint: string): void {
    if (this.#zmq.zmq_bind(this.address, cString(endpoint)) === 0) return;
    throw bindFailure(endpoint, this.#zmq.zmq_errno());
  }

  connect(endpoint: string): boolean {
    return this.#zmq.zmq_connect(this.address, cString(endpoint)) === 0;
  }

  /** Makes the socket report what happens to its connections at an address of this process. */
  monitor(endpoint: string, events: number): void {
    this.#zmq.zmq_socket_monitor(this.address, cString(endpoint), events);
  }

  /** Receives a frame. Returns its length, which may be greater than the buffer; below 0: there is none. */
  receive(buffer: Uint8Array, capacity: bigint): number {
    return this.#zmq.zmq_recv(this.address, buffer, capacity, dontWait);
  }

  /** Receives a frame of any length, which has to be there. */
  receiveWhole(): Uint8Array<ArrayBuffer> {
    const frame = new Uint8Array(messageBytes);
    const zmq = this.#zmq;
    zmq.zmq_msg_init(frame);
    zmq.zmq_msg_recv(frame, this.address, dontWait);
    const bytes = contentOf(zmq, frame);
    zmq.zmq_msg_close(frame);
    return bytes;
  }

  /** Whether the message goes on after the frame that was received last. */
  get hasMore(): boolean {
    return this.getNumber(Option.recvMore) !== 0;
  }

  /** Sends a message. Never waits. */
  send(frames: readonly Uint8Array[]): Sent {
    // libzmq would look at memory that is free.
    if (!this.#isOpen) return "unreachable";
    const last = frames.length - 1;
    for (let index = 0; index <= last; index++) {
      const frame = frames[index]!;
      const length = frame.byteLength;
      const flags = index < last ? dontWait | sendMore : dontWait;
      const size = length === 0 ? noBytes : BigInt(length);
      const bytes = length === 0 ? none : frame;
      if (this.#zmq.zmq_send(this.address, bytes, size, flags) >= 0) continue;
      // Only the first frame can be refused: it says where the others go.
      return this.#zmq.zmq_errno() === ErrorNumber.again ? "full" : "unreachable";
    }
    return "sent";
  }

  /** Twice is fine. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#zmq.zmq_close(this.address);
  }
}

const bindReasons: Readonly<Record<number, readonly [code: ErrorCode, reason: string]>> = {
  [ErrorNumber.addressInUse]: [
    "EXISTS",
    "another socket listens there; end its program, or choose another port",
  ],
  [ErrorNumber.access]: ["PERMISSION", "the system does not allow it; choose a port from 1024"],
  [ErrorNumber.notPermitted]: [
    "PERMISSION",
    "the system does not allow it; choose another address",
  ],
  [ErrorNumber.addressUnavailable]: [
    "NOT_FOUND",
    "this machine does not have the address; choose one of its own",
  ],
  [ErrorNumber.noDevice]: [
    "NOT_FOUND",
    "this machine does not have the address; choose one of its own",
  ],
  [ErrorNumber.noEntry]: ["NOT_FOUND", "the folder of the path does not exist; make it first"],
  [ErrorNumber.inval]: ["UNSUPPORTED", "libzmq does not take the address; choose another one"],
  [ErrorNumber.protocolUnsupported]: [
    "UNSUPPORTED",
    "this libzmq lacks the transport; use tcp or ipc",
  ],
};

function bindFailure(endpoint: string, error: number): TandemError {
  const [code, reason] = bindReasons[error] ??
    ["UNSUPPORTED", `the system's error number is ${error}`];
  return new TandemError(code, `Cannot listen on ${endpoint}: ${reason}`);
}
