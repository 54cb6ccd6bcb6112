/**
 * The parts of a runtime that `src/` needs. `deno.ts`, `bun.ts` and `node.ts` implement them; no other module of the
 * package knows which runtime it runs on.
 *
 * @module
 */

import type { RuntimeName } from "./names.ts";

/** The processor architectures that a library is built for. */
export type Arch = "x86_64" | "aarch64";

/** The bell is a named FIFO, opened for reading and writing, non-blocking. */
export const bellFifo = 1;
/** The bell is a bound AF_UNIX datagram socket, non-blocking. */
export const bellDatagram = 2;
/** A kind of descriptor that the event loop of a runtime adopts, and that any process can write to by path. */
export type BellKind = typeof bellFifo | typeof bellDatagram;

/**
 * How a value crosses the boundary. A `buffer` is an `ArrayBufferView`, never null; the address of an empty
 * one means nothing. `bytes` is a `Uint8Array` that the function only reads, as many bytes of it as the next
 * parameter says. A `size` is a `bigint`, which the C library needs; it is too slow for our own.
 */
export type Kind = "u32" | "i32" | "f64" | "buffer" | "bytes" | "size" | "void";

/** A native function. */
export interface Signature {
  readonly parameters: readonly Kind[];
  readonly result: Kind;
  /** Rarely called: cheaper to bind and more expensive to call, where the runtime offers the choice. */
  readonly cold?: true;
  /** Takes no arguments and has no effect: a runtime may call it to learn whether functions work. */
  readonly probe?: true;
}

/** The functions of a library, by name. */
export type Table = Readonly<Record<string, Signature>>;

/** A descriptor in the event loop. It does not keep the process alive until `ref()` is called. */
export interface Watch {
  /** The process stays alive while this watch is open. */
  ref(): void;
  /** The process may end although this watch is open; its callbacks still run while it lives. */
  unref(): void;
  /** Takes the descriptor out of the loop and closes it. No callback runs afterwards. */
  close(): void;
}

/** Runs `body` in a context that was captured. */
export type ContextRunner = <A, R>(body: (argument: A) => R, argument: A) => R;

/** A value that follows all awaits, as in an `AsyncLocalStorage`. */
export interface ContextVariable<T> {
  run<R>(value: T, body: () => R): R;
  getStore(): T | undefined;
}

/** The part of `node:async_hooks` in use. */
export interface AsyncHooks {
  readonly AsyncLocalStorage: {
    new <T>(): ContextVariable<T>;
    snapshot(): ContextRunner;
  };
}

/** One runtime. */
export interface Backend {
  readonly name: RuntimeName;
  /** The operating system; only `"linux"` is supported. */
  readonly platform: string;
  /** The processor's architecture: an {@linkcode Arch} if there is a library for it. */
  readonly arch: string;
  readonly bellKind: BellKind;
  readonly pid: number;
  /** The effective user id; -1 where the runtime does not let this process read it. Never prompts the user. */
  readonly uid: number;
  /** The path of the runtime's binary; null in a compiled program, whose binary runs nothing else. */
  readonly binary: string | null;

  /**
   * The value of an environment variable; `undefined` also where the runtime does not let this process
   * read it. Never prompts the user.
   */
  environment(name: string): string | undefined;

  /** Whether the runtime evaluates modules anew in the same global object when their files change. */
  readonly replacesCode: boolean;

  /** Whether the runtime lets this process load libraries. May prompt the user, once. */
  mayLoad(): boolean;

  /**
   * Loads the library at `path` and binds all functions of the table. It is never unloaded: it is linked so,
   * or a part of the C library. It is no open resource of the runtime either, which a test runner would
   * report as a leak of the test that loaded it.
   */
  bind<Functions>(path: string, table: Table): Functions;

  /**
   * An `ArrayBuffer` over mapped memory. It has no finalizer: code that unmaps the memory detaches the
   * buffer first (`buffer.transfer(0)`), or later accesses end the process.
   */
  mapping(address: number, byteLength: number): ArrayBuffer;

  /**
   * Gives `fd` to the event loop, which owns and closes it from here on. `onReadable` runs after
   * bytes have arrived (they are consumed; several arrivals may run it once), `onHangup` once, when
   * the other end is gone, also if it was gone before. Neither runs before `watch` has returned.
   *
   * `fd` is non-blocking and close-on-exec: the bell (`bellKind`), or a connected AF_UNIX stream
   * socket.
   */
  watch(fd: number, onReadable: () => void, onHangup: () => void): Watch;

  /**
   * As `watch`, for a FIFO that is open for reading, and that nobody writes to. `onHangup` runs when no process has it
   * open for writing any more.
   */
  watchHangup(fd: number, onHangup: () => void): Watch;

  /**
   * How the runtime ends a thread that a native function blocks: the addresses of a function that the native
   * function calls now and then on that thread, and of its argument. Its result is not 0 when the thread has to
   * end. Null: nothing waits for this thread.
   */
  interruption(): readonly [ask: number, argument: number] | null;

  /**
   * Up to this length, an array is made more quickly as a copy of what native code has written elsewhere than
   * for native code to write into.
   */
  readonly copiedBytesMax: number;

  /** Whether a small array takes about as long as everything else that a call does. */
  readonly arraysAreCostly: boolean;

  /**
   * Whether a long array has no properties but its items, as far as the runtime can find out without
   * listing all keys. False: there may be others.
   */
  showsOnlyItems(array: readonly unknown[]): boolean;

  /** Whether a value that `next()` of an iterator got comes from the runtime rather than from a program. */
  isSink(value: unknown): boolean;

  /**
   * Whether the runtime marks the descriptors that this process has inherited, at its start, so that programs that
   * take the place of this one do not inherit them.
   */
  readonly marksInherited: boolean;

  /** Whether this thread is the one with which the process has begun. */
  readonly isMainThread: boolean;

  /** Runs `callback` when the process ends in an orderly way. */
  onExit(callback: () => void): void;

  /** Runs `callback` with an error that ends the process, just before, because no code has caught it. */
  onUncaught(callback: (error: unknown) => void): void;

  /** Runs `callback` when there is nothing left that the process would wait for. */
  onDrained(callback: () => void): void;

  /** Ends the process. */
  exit(code: number): never;

  /**
   * Captures the asynchronous context of the caller: the values of every `AsyncLocalStorage`. The returned
   * function runs another function in that context, and undoes the changes that this function makes to it.
   */
  captureContext(): ContextRunner;

  /** Makes a variable of the asynchronous context. */
  contextVariable<T>(): ContextVariable<T>;

  /**
   * Runs `callback` in a later turn of the event loop, so that timers and I/O run in between. A runtime
   * that neglects I/O while turns follow each other uses the caller's `bell` to make itself look; then
   * `onReadable` of the bell may run as well. `isFirst`: the caller had no turns just before, so the runtime
   * has most likely looked at its I/O.
   */
  nextTurn(callback: () => void, bell?: Watch | null, isFirst?: boolean): void;
}
