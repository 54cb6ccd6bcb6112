/**
 * What `src/` needs from a runtime. Deno's and Bun's answers are in `deno.ts` and `bun.ts`; nothing
 * else in the package knows which of them it runs on.
 *
 * @module
 */

/** The processor architectures that a library is built for. */
export type Arch = "x86_64" | "aarch64";

/** The bell is a named FIFO, opened for reading and writing, non-blocking. */
export const bellFifo = 1;
/** The bell is a bound AF_UNIX datagram socket, non-blocking. */
export const bellDatagram = 2;
/** What kind of descriptor a runtime's event loop adopts and any process may write to by path. */
export type BellKind = typeof bellFifo | typeof bellDatagram;

/**
 * How a value crosses the boundary. A `buffer` is an `ArrayBufferView`, never null; of an empty one
 * the address means nothing. A `size` is a `bigint`, for the C library's sake: too slow for ours.
 */
export type Kind = "u32" | "i32" | "f64" | "buffer" | "size" | "void";

/** A native function. */
export interface Signature {
  readonly parameters: readonly Kind[];
  readonly result: Kind;
  /** Seldom called: cheaper to bind, dearer to call, where the runtime offers the choice. */
  readonly cold?: true;
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

/** A value that follows what is awaited, as that of an `AsyncLocalStorage` does. */
export interface ContextVariable<T> {
  run<R>(value: T, body: () => R): R;
  getStore(): T | undefined;
}

/** Of `node:async_hooks`, which both runtimes have. */
export interface AsyncHooks {
  readonly AsyncLocalStorage: {
    new <T>(): ContextVariable<T>;
    snapshot(): ContextRunner;
  };
}

/** One runtime. */
export interface Backend {
  readonly name: "deno" | "bun";
  /** The operating system; only `"linux"` is supported. */
  readonly platform: string;
  /** The processor's architecture: an {@linkcode Arch} if there is a library for it. */
  readonly arch: string;
  readonly bellKind: BellKind;
  /** The path of the runtime's binary; null in a compiled program, whose binary runs nothing else. */
  readonly binary: string | null;

  /**
   * The value of an environment variable; `undefined` also where the runtime does not let this
   * process read it. Never asks the user.
   */
  environment(name: string): string | undefined;

  /** Whether the runtime evaluates modules anew in the same global object when their files change. */
  readonly replacesCode: boolean;

  /** Whether the runtime lets this process load libraries. May ask the user, once. */
  mayLoad(): boolean;

  /** Loads the library at `path` and binds all functions of the table. It is never unloaded. */
  bind<Functions>(path: string, table: Table): Functions;

  /**
   * A plain `ArrayBuffer` over memory of somebody else. It has no finalizer: whoever unmaps the
   * memory detaches the buffer first (`buffer.transfer(0)`), or later accesses end the process.
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
   * Whether a long array has nothing but its items, as far as the runtime can tell without listing all
   * keys. False: there may be something else.
   */
  showsOnlyItems(array: readonly unknown[]): boolean;

  /** Runs `callback` when the process ends in an orderly way. */
  onExit(callback: () => void): void;

  /**
   * Captures the asynchronous context of the caller: what every `AsyncLocalStorage` has here. Returns
   * what runs a function in that context, and undoes whatever the function has changed about it.
   */
  captureContext(): ContextRunner;

  /** Makes a variable of the asynchronous context. */
  contextVariable<T>(): ContextVariable<T>;

  /**
   * Runs `callback` in a later turn of the event loop, so that timers and I/O run in between. Where
   * the runtime neglects I/O while turns follow each other, the caller's `bell` is used to make it
   * look; `onReadable` of the bell may run as well.
   */
  nextTurn(callback: () => void, bell?: Watch | null): void;
}
