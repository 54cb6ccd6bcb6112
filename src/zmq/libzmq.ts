/**
 * The functions of libzmq that doors use, and the numbers of its headers.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { bindC, cString } from "../runtime/c_library.ts";
import { backend } from "../runtime/current.ts";

/** The symbol table. A `size` is a `size_t`, or a pointer that only libzmq looks at. */
export const symbols = {
  zmq_version: { parameters: ["buffer", "buffer", "buffer"], result: "void", cold: true },
  zmq_errno: { parameters: [], result: "i32", probe: true },
  zmq_has: { parameters: ["buffer"], result: "i32", cold: true },
  zmq_ctx_new: { parameters: [], result: "size", cold: true },
  zmq_ctx_shutdown: { parameters: ["size"], result: "i32", cold: true },
  zmq_ctx_term: { parameters: ["size"], result: "i32", cold: true },
  zmq_socket: { parameters: ["size", "i32"], result: "size", cold: true },
  zmq_close: { parameters: ["size"], result: "i32", cold: true },
  zmq_bind: { parameters: ["size", "buffer"], result: "i32", cold: true },
  zmq_connect: { parameters: ["size", "buffer"], result: "i32", cold: true },
  zmq_setsockopt: { parameters: ["size", "i32", "buffer", "size"], result: "i32", cold: true },
  zmq_getsockopt: { parameters: ["size", "i32", "buffer", "buffer"], result: "i32", cold: true },
  zmq_socket_monitor: { parameters: ["size", "buffer", "i32"], result: "i32", cold: true },
  zmq_poll: { parameters: ["buffer", "i32", "size"], result: "i32" },
  zmq_send: { parameters: ["size", "buffer", "size", "i32"], result: "i32", cold: true },
  zmq_recv: { parameters: ["size", "buffer", "size", "i32"], result: "i32", cold: true },
  zmq_msg_init: { parameters: ["buffer"], result: "i32", cold: true },
  zmq_msg_recv: { parameters: ["buffer", "size", "i32"], result: "i32", cold: true },
  zmq_msg_copy: { parameters: ["buffer", "buffer"], result: "i32", cold: true },
  zmq_msg_close: { parameters: ["buffer"], result: "i32", cold: true },
  zmq_msg_size: { parameters: ["buffer"], result: "size", cold: true },
  zmq_msg_data: { parameters: ["buffer"], result: "size", cold: true },
  zmq_msg_gets: { parameters: ["buffer", "buffer"], result: "size", cold: true },
  zmq_z85_encode: { parameters: ["buffer", "buffer", "size"], result: "size", cold: true },
  zmq_curve_public: { parameters: ["buffer", "buffer"], result: "i32", cold: true },
} as const;

type Value<Kind> = Kind extends "buffer" ? ArrayBufferView
  : Kind extends "size" ? bigint
  : Kind extends "void" ? void
  : number;
type Values<Kinds> = { -readonly [Index in keyof Kinds]: Value<Kinds[Index]> };

/** The functions of libzmq, with types that follow from the table. */
export type LibZmq = {
  readonly [Name in keyof typeof symbols]: (
    ...values: Values<(typeof symbols)[Name]["parameters"]>
  ) => Value<(typeof symbols)[Name]["result"]>;
};

/** Types of sockets. */
export const SocketType = { pair: 0, req: 3, rep: 4, router: 6 } as const;

/** Options of sockets. */
export const Option = {
  events: 15,
  routingId: 5,
  recvMore: 13,
  linger: 17,
  backlog: 19,
  maxMessageBytes: 22,
  sendHighWaterMark: 23,
  receiveHighWaterMark: 24,
  lastEndpoint: 32,
  routerMandatory: 33,
  tcpKeepAlive: 34,
  ipv6: 42,
  curveServer: 47,
  curvePublicKey: 48,
  curveSecretKey: 49,
  curveServerKey: 50,
  zapDomain: 55,
  routerHandover: 56,
} as const;

/** Events of a socket's monitor. */
export const MonitorEvent = {
  accepted: 0x0020,
  disconnected: 0x0200,
  handshakeFailedWithoutDetail: 0x0800,
  handshakeFailedProtocol: 0x2000,
  handshakeFailedAuthentication: 0x4000,
} as const;

export const dontWait = 1;
export const sendMore = 2;
export const pollIn = 1;
/** `sizeof(zmq_pollitem_t)` and `sizeof(zmq_msg_t)`. */
export const pollItemBytes = 16;
export const messageBytes = 64;
/** What stands for "for ever" where libzmq takes a `long`: -1. */
export const forever: bigint = 0xffff_ffff_ffff_ffffn;

/** Error numbers of Linux, and those that libzmq adds. */
export const ErrorNumber = {
  again: 11,
  access: 13,
  notPermitted: 1,
  noEntry: 2,
  noDevice: 19,
  inval: 22,
  protocolUnsupported: 93,
  addressInUse: 98,
  addressUnavailable: 99,
  /** The context has ended. */
  terminated: 156_384_765,
} as const;

let library: LibZmq | undefined;

/**
 * libzmq, once per thread.
 *
 * @throws {TandemError} `UNSUPPORTED` where it is missing or too old
 */
export function libzmq(): LibZmq {
  return library ??= load();
}

/** @throws {TandemError} `BUSY` when the system gives no more descriptors or memory */
export function newContext(): bigint {
  const context = libzmq().zmq_ctx_new();
  if (context !== 0n) return context;
  throw new TandemError(
    "BUSY",
    "Cannot use ZeroMQ: the system gives this process no more descriptors or memory; raise its limits",
  );
}

const names: readonly string[] = ["libzmq.so.5", "libzmq.so"];

function load(): LibZmq {
  const failures: string[] = [];
  for (const name of names) {
    try {
      keepLoaded(name);
      const zmq = backend().bind<LibZmq>(name, symbols);
      checkVersion(zmq);
      return zmq;
    } catch (error) {
      if (error instanceof TandemError) throw error;
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot load libzmq, which doors for ZeroMQ need: ${failures[0]}; install it: ` +
      "apt-get install libzmq5 (Debian, Ubuntu), dnf install zeromq (Fedora), apk add libzmq (Alpine)",
  );
}

/** The version before has no way to tell which connection a message came from. */
const oldest: readonly [major: number, minor: number] = [4, 2];

function checkVersion(zmq: LibZmq): void {
  const [major, minor, patch] = [new Int32Array(1), new Int32Array(1), new Int32Array(1)] as const;
  zmq.zmq_version(major, minor, patch);
  const [found, foundMinor] = [major[0]!, minor[0]!];
  if (found > oldest[0] || (found === oldest[0] && foundMinor >= oldest[1])) return;
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot use libzmq ${found}.${foundMinor}.${patch[0]}: doors for ZeroMQ need ${
      oldest.join(".")
    } or newer`,
  );
}

const nowAndForGood = 0x2 | 0x1000;

interface Loader {
  dlopen(name: Uint8Array, flags: number): bigint;
  dlsym(library: bigint, name: Uint8Array): bigint;
}

/** The functions of the C library that find libraries. */
function loader(): Loader {
  const table = {
    dlopen: { parameters: ["buffer", "i32"], result: "size", cold: true },
    dlsym: { parameters: ["size", "buffer"], result: "size", cold: true },
  } as const;
  try {
    return bindC<Loader>(table);
  } catch {
    // An old C library has them in another file.
    return backend().bind<Loader>("libdl.so.2", table);
  }
}

let handle = 0n;

/** Where functions of libzmq are, for native code. */
export function addressesOf(functions: readonly (keyof LibZmq)[]): bigint[] {
  libzmq();
  const { dlsym } = loader();
  return functions.map((name) => BigInt(dlsym(handle, cString(name))));
}

/**
 * A runtime may unload a library when a Worker ends. The threads of libzmq may still run then, so another reference
 * keeps it.
 */
function keepLoaded(name: string): void {
  handle = loader().dlopen(cString(name), nowAndForGood);
}
