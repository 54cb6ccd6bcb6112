/**
 * ZMTP by hand (RFC 23), for what no library sends.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

/** The first bytes of a connection: ZMTP 3.0, without encryption. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);
  bytes.write("NULL", 12);
  return bytes;
}

/** The command after the greetings. */
export function ready(type: string, identity = ""): Buffer {
  const body = Buffer.concat([
    Buffer.from("\x05READY"),
    property("Socket-Type", type),
    property("Identity", identity),
  ]);
  return Buffer.concat([Buffer.from([4, body.length]), body]);
}

function property(name: string, value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(value.length);
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), length, Buffer.from(value)]);
}

/** A frame; `more`: another one follows. */
export function frame(body: Uint8Array | string, more: boolean): Buffer {
  const bytes = Buffer.from(body as string);
  return Buffer.concat([frameHead(bytes.length, more), bytes]);
}

/** The head of a frame that announces so many bytes. */
export function frameHead(length: number, more: boolean): Buffer {
  const flags = more ? 1 : 0;
  if (length < 256) return Buffer.from([flags, length]);
  const head = Buffer.alloc(9);
  head[0] = flags | 2;
  head.writeBigUInt64BE(BigInt(length), 1);
  return head;
}

/** A message of several frames. */
export function message(...frames: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.concat(frames.map((body, index) => frame(body, index < frames.length - 1)));
}

/** A connection that says what it likes. */
export class Wire {
  readonly socket: Socket;
  /** Resolves when the connection has ended, whoever has ended it. */
  readonly closed: Promise<void>;
  received = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    // A connection that is cut.
    socket.on("error", () => {});
    socket.on("end", () => socket.destroy());
    socket.on("data", (bytes: Uint8Array) => this.received += bytes.length);
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const wire = new Wire(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", () => resolve());
      socket.once("close", () => reject(new Error("no connection")));
    });
    return wire;
  }

  /** A connection whose handshake is done. */
  static async greeted(port: number, type: string, identity = ""): Promise<Wire> {
    const wire = await Wire.open(port);
    await wire.send(greeting(), ready(type, identity));
    const isGreeted = () => wire.received > 64 || wire.socket.destroyed;
    while (!isGreeted()) await new Promise((resolve) => setTimeout(resolve, 1));
    return wire;
  }

  /** Resolves when the kernel has taken the bytes, or the connection is cut. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.socket.write(Buffer.concat(parts), () => resolve());
    });
    await Promise.race([written, this.closed]);
  }

  /** Ends the connection when the door has read everything. */
  async end(): Promise<void> {
    this.socket.end();
    await this.closed;
  }

  /** Ends the connection; what the door has not read may be lost. */
  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}
