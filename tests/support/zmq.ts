/**
 * Doors, and clients of them that we did not write.
 *
 * @module
 */
import { createHash } from "node:crypto";
import net from "node:net";
import { join } from "node:path";
import { existsSync } from "node:fs";
import { Server, type ServerRequest } from "../../mod.ts";
import { checkout } from "../../scripts/tools.ts";
import type { ZmqDoorStats } from "../../src/zmq/counters.ts";
import { ZmqDoor, type ZmqDoorOptions } from "../../src/zmq/main.ts";
import { atEnd, type Child, eventually, newTarget, startProgram } from "./harness.ts";

export const anyPort = "tcp://127.0.0.1:0";

const packages = join(checkout, ".tools/pyzmq");

/** Why tests with clients that we did not write cannot run; null: they can. */
export const noPyzmq: string | null = existsSync(packages)
  ? null
  : "pyzmq is not installed: scripts/setup --tests";

/** A frame: one character for each byte; or many equal bytes. */
export type Frame = string | { readonly fill: string; readonly size: number };

/** A frame as it arrives; of a long one, only what it may be known by. */
export type Seen = string | { readonly size: number; readonly sha1: string };

/** How a long frame of equal bytes arrives. */
export function seen(fill: string, size: number): Seen {
  return { size, sha1: createHash("sha1").update(fill.repeat(size), "latin1").digest("hex") };
}

/** How a socket is opened. */
export interface SocketOptions {
  /** Default: `on`. */
  readonly identity?: string;
  /** By their names in pyzmq. */
  readonly options?: Readonly<Record<string, string | number>>;
}

/** A process with sockets of pyzmq; see `fixtures/zmq/client.py`. */
export class PythonClients {
  readonly child: Child;

  private constructor(child: Child) {
    this.child = child;
  }

  static async start(): Promise<PythonClients> {
    const program = join(checkout, "tests/fixtures/zmq/client.py");
    const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" };
    const child = startProgram("client.py", ["/usr/bin/env", "python3", program], env);
    await child.expect("ready");
    return new PythonClients(child);
  }

  /** Lets the process do something. Rejects when it ends instead. */
  async tell<T = null>(what: string, parts: object = {}): Promise<T> {
    const { result } = await this.child.ask<{ result: T }>({ do: what, ...parts });
    return result;
  }

  async open(
    on: string,
    type: "REQ" | "DEALER",
    endpoint: string,
    { identity = on, options = {} }: SocketOptions = {},
  ): Promise<void> {
    const IDENTITY = identity === "" ? {} : { IDENTITY: identity };
    await this.tell("open", { on, type, endpoint, options: { ...IDENTITY, ...options } });
  }

  close(on: string): Promise<null> {
    return this.tell("close", { on });
  }

  send(on: string, ...frames: readonly Frame[]): Promise<null> {
    return this.tell("send", { on, frames });
  }

  /** The next message; null: none has come for so many milliseconds. */
  receive(on: string, timeout: number = 60_000): Promise<Seen[] | null> {
    return this.tell("receive", { on, timeout });
  }

  request(on: string, ...frames: readonly Frame[]): Promise<Seen[] | null> {
    return this.tell("request", { on, frames });
  }
}

/** A door to a server that this process has. */
export interface Opened {
  readonly door: ZmqDoor;
  readonly server: Server;
  readonly target: string;
}

/** How a door and its server are opened. */
export interface OpenOptions extends Partial<ZmqDoorOptions> {
  readonly slots?: number;
  readonly maxRequestBytes?: number;
}

/** Opens a server and a door to it, which close when the test ends. */
export async function openDoor({ slots, maxRequestBytes, ...options }: OpenOptions = {}): Promise<
  Opened
> {
  const target = newTarget();
  const server = Server.create(target, {
    ...slots === undefined ? {} : { slots },
    ...maxRequestBytes === undefined ? {} : { maxRequestBytes },
  });
  atEnd(() => Promise.resolve(server.close()));
  const door = await openDoorTo(target, options);
  return { door, server, target };
}

/** Opens a door, which closes when the test ends. */
export async function openDoorTo(
  target: string,
  options: Partial<ZmqDoorOptions> = {},
): Promise<ZmqDoor> {
  const door = new ZmqDoor({ frontend: anyPort, ...options, target });
  // At the test's end nothing is in flight that matters.
  atEnd(() => door.close({ timeout: 0 }));
  await door.ready;
  return door;
}

/** As {@linkcode openDoor}, with a server that works for each request. */
export async function openServed(
  work: (request: ServerRequest) => string | Uint8Array | Promise<string | Uint8Array>,
  options: OpenOptions = {},
): Promise<Opened> {
  const opened = await openDoor(options);
  const serving = opened.server.serve(work);
  atEnd(async () => {
    opened.server.close();
    await serving;
  });
  return opened;
}

/** Answers with the request in capital letters. */
export const shout = (request: ServerRequest): string => request.text().toUpperCase();

/** Waits until the door's numbers are so. */
export async function counted(
  door: ZmqDoor,
  wanted: Partial<ZmqDoorStats>,
): Promise<void> {
  const names = Object.keys(wanted) as (keyof ZmqDoorStats)[];
  const isThere = () => names.every((name) => door.stats()[name] === wanted[name]);
  try {
    await eventually(isThere, "the numbers of the door");
  } catch (error) {
    throw new Error(`${JSON.stringify(wanted)}, not ${JSON.stringify(door.stats())}`, {
      cause: error,
    });
  }
}

/** A bare connection, which speaks no ZeroMQ of its own. */
export class BareConnection {
  readonly socket: net.Socket;
  /** Resolves when the other end has closed it. */
  readonly closed: Promise<void>;

  constructor(endpoint: string) {
    const { hostname, port } = new URL(endpoint.replace("tcp:", "http:"));
    this.socket = net.connect(Number(port), hostname);
    // What it reads does not matter, but unread it would never see the end.
    this.socket.on("error", () => {}).resume();
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
    atEnd(async () => {
      this.socket.destroy();
      await this.closed;
    });
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }
}

const command = (name: string, body: readonly number[]): number[] => [
  4,
  name.length + 1 + body.length,
  name.length,
  ...new TextEncoder().encode(name),
  ...body,
];

const property = (name: string, value: string): number[] => [
  name.length,
  ...new TextEncoder().encode(name),
  0,
  0,
  0,
  value.length,
  ...new TextEncoder().encode(value),
];

/** What a client without a key says first: ZMTP 3.0, its mechanism, and the type of its socket. */
export const handshake: Uint8Array = new Uint8Array([
  ...[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0],
  ...new TextEncoder().encode("NULL"),
  ...new Array(16 + 1 + 31).fill(0),
  ...command("READY", [...property("Socket-Type", "DEALER"), ...property("Identity", "")]),
]);

/** The head of a long frame that is the last of its message. */
export function frameHead(length: number): Uint8Array {
  const head = new Uint8Array(9);
  head[0] = 2;
  new DataView(head.buffer).setBigUint64(1, BigInt(length));
  return head;
}
