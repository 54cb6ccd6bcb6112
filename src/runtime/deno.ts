/**
 * The backend for Deno. It needs `--allow-ffi` and nothing else.
 *
 * @module
 */
import {
  type AsyncHooks,
  type Backend,
  bellFifo,
  type ContextRunner,
  type ContextVariable,
  type Signature,
  type Table,
  type Watch,
} from "./backend.ts";
import { now, setImmediate } from "./timers.ts";

type Pointer = object | null;

// The parts of Deno that are used, declared here so that the file type-checks under every compiler.
interface DenoGlobal {
  readonly build: {
    readonly os: string;
    readonly arch: string;
    readonly standalone?: boolean;
  };
  readonly env: { get(name: string): string | undefined };
  readonly internal?: symbol;
  readonly permissions: {
    querySync(permission: { name: "env"; variable: string }): { readonly state: string };
    requestSync(permission: { name: "ffi" }): { readonly state: string };
  };
  dlopen(path: string, symbols: object): { readonly symbols: Record<string, unknown> };
  readonly UnsafeFnPointer: new (pointer: Pointer, signature: object) => {
    call(...values: unknown[]): unknown;
  };
  readonly UnsafePointer: { create(address: bigint): Pointer };
  readonly UnsafePointerView: { getArrayBuffer(pointer: Pointer, byteLength: number): ArrayBuffer };
}

interface Socket {
  on(event: string, listener: () => void): void;
  ref(): void;
  unref(): void;
  write(bytes: Uint8Array): boolean;
  destroy(): void;
}

interface NodeNet {
  readonly Socket: new (options: object) => Socket;
}

/** What `AsyncLocalStorage` is made of in Deno. Not public, so it may be missing. */
interface AsyncContexts {
  getAsyncContext?(): unknown;
  setAsyncContext?(context: unknown): void;
}

interface Global {
  readonly Deno: DenoGlobal;
  readonly process: {
    readonly execPath: string;
    getBuiltinModule(name: string): unknown;
    on(event: "exit", listener: () => void): void;
  };
}

const global: Global = globalThis as unknown as Global;

/**
 * After so many milliseconds of turns that were due at once, Deno is made to wait for one: while
 * something is due it looks at sockets every sixtieth turn only, and requests of others would wait
 * for ours.
 */
const betweenPulses = 1;
const pulse = new Uint8Array(1);

/** A pipe or socket in the loop, through `node:net`: Deno's own APIs take no descriptor. */
class SocketWatch implements Watch {
  readonly #socket: Socket;
  #isOpen = true;
  #isReferenced = false;
  #lastPulse = 0;
  /** Runs when the pulse has come back. */
  #beat: (() => void) | null = null;

  constructor(fd: number, onReadable: () => void, onHangup: () => void) {
    // Not an import: it takes 7 to 20 ms, which only those who wait for promises need to pay.
    const net = global.process.getBuiltinModule("node:net") as NodeNet;
    this.#socket = new net.Socket({ fd, readable: true, writable: true });
    this.#socket.unref();
    this.#socket.on("data", () => {
      const beat = this.#endPulse();
      if (this.#isOpen) onReadable();
      beat?.();
    });
    // How a socket says that its other end died; "close" follows.
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      const beat = this.#endPulse();
      onHangup();
      beat?.();
    });
  }

  ref(): void {
    this.#isReferenced = true;
    this.#socket.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    if (this.#beat === null) this.#socket.unref();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.destroy();
    const beat = this.#endPulse();
    if (beat) setImmediate(beat);
  }

  /** A turn of the bell's owner. Only a bell can be written to by its owner. */
  nextTurn(callback: () => void): void {
    const time = now();
    if (time - this.#lastPulse < betweenPulses || this.#beat !== null || !this.#isOpen) {
      setImmediate(callback);
      return;
    }
    this.#lastPulse = time;
    this.#beat = callback;
    this.#socket.ref(); // as a pending immediate would keep the process alive
    this.#socket.write(pulse);
  }

  #endPulse(): (() => void) | null {
    const beat = this.#beat;
    this.#beat = null;
    if (beat !== null && !this.#isReferenced) this.#socket.unref();
    return beat;
  }
}

/** The signature in Deno's words. */
function translate({ parameters, result }: Signature): object {
  const rename = (kind: string) => kind === "size" ? "usize" : kind;
  return { parameters: parameters.map(rename), result: rename(result) };
}

/** A context: by the number of each variable, what stands for its value. */
type Context = Readonly<Record<string | symbol, unknown>> | null | undefined;

let asyncContexts: Required<AsyncContexts> | null | undefined;

/** Null: this version of Deno has others. */
function knownContexts(): Required<AsyncContexts> | null {
  return asyncContexts === undefined ? asyncContexts = findContexts() : asyncContexts;
}

function findContexts(): Required<AsyncContexts> | null {
  const { Deno } = global;
  if (Deno.internal === undefined) return null;
  const internals = (Deno as unknown as Record<symbol, { core?: AsyncContexts }>)[Deno.internal];
  const { getAsyncContext, setAsyncContext } = internals?.core ?? {};
  if (!getAsyncContext || !setAsyncContext) return null;
  const found = { getAsyncContext, setAsyncContext };
  return areUnderstood(found) ? found : null;
}

/** Whether a context is a plain object, of which a copy with something more in it is as good. */
function areUnderstood({ getAsyncContext, setAsyncContext }: Required<AsyncContexts>): boolean {
  const storage = new (asyncHooks().AsyncLocalStorage)<number>();
  return storage.run(1, () => {
    const context = getAsyncContext();
    if (typeof context !== "object" || context === null) return false;
    if (Object.getPrototypeOf(context) !== null) return false;
    try {
      setAsyncContext({ __proto__: null, ...context, "@tandem/ipc": 2 });
      return storage.getStore() === 1;
    } finally {
      setAsyncContext(context);
    }
  });
}

/**
 * As an `AsyncLocalStorage`, but for an entry of a weak map for each run, which takes 250 to 600 ns and
 * as much again at garbage collection: half of what a short call takes.
 */
class PlainVariable<T> implements ContextVariable<T> {
  readonly #contexts: Required<AsyncContexts>;
  /** Another one in each copy of the package. */
  readonly #key: string = `@tandem/ipc ${Math.random()}`;

  constructor(contexts: Required<AsyncContexts>) {
    this.#contexts = contexts;
  }

  run<R>(value: T, body: () => R): R {
    const { getAsyncContext, setAsyncContext } = this.#contexts;
    const before = getAsyncContext() as Context;
    setAsyncContext({ __proto__: null, ...before, [this.#key]: value });
    try {
      return body();
    } finally {
      setAsyncContext(before);
    }
  }

  getStore(): T | undefined {
    return (this.#contexts.getAsyncContext() as Context)?.[this.#key] as T | undefined;
  }
}

function asyncHooks(): AsyncHooks {
  return global.process.getBuiltinModule("node:async_hooks") as AsyncHooks;
}

/** The backend for Deno. */
export const deno: Backend = {
  name: "deno",
  bellKind: bellFifo,

  get platform(): string {
    return global.Deno.build.os;
  },

  get arch(): string {
    return global.Deno.build.arch;
  },

  get binary(): string | null {
    return global.Deno.build.standalone ? null : global.process.execPath;
  },

  environment(name: string): string | undefined {
    // Reading without the permission would ask the user, or throw.
    const { state } = global.Deno.permissions.querySync({ name: "env", variable: name });
    return state === "granted" ? global.Deno.env.get(name) : undefined;
  },

  // With --watch and --watch-hmr it begins anew, and patches functions where they are.
  replacesCode: false,

  mayLoad(): boolean {
    // For all paths: pointers need that. Asked once, before Deno asks about each path that is tried.
    return global.Deno.permissions.requestSync({ name: "ffi" }).state === "granted";
  },

  // Deno compiles each function that it binds itself: 0.1 to 0.4 ms at start, 20 to 40 ns a call. A
  // pointer costs nothing at start and 2 µs a call: cold functions are bound as pointers.
  bind<Functions>(path: string, table: Table): Functions {
    const { Deno } = global;
    const declarations: Record<string, object> = {};
    for (const [name, signature] of Object.entries(table)) {
      declarations[name] = signature.cold ? { type: "pointer" } : translate(signature);
    }
    const functions = { ...Deno.dlopen(path, declarations).symbols };
    for (const [name, signature] of Object.entries(table)) {
      if (!signature.cold) continue;
      const cold = new Deno.UnsafeFnPointer(functions[name] as Pointer, translate(signature));
      functions[name] = (...values: unknown[]) => cold.call(...values);
    }
    return functions as Functions;
  },

  mapping(address: number, byteLength: number): ArrayBuffer {
    const { UnsafePointer, UnsafePointerView } = global.Deno;
    return UnsafePointerView.getArrayBuffer(UnsafePointer.create(BigInt(address)), byteLength);
  },

  watch(fd: number, onReadable: () => void, onHangup: () => void): Watch {
    return new SocketWatch(fd, onReadable, onHangup);
  },

  showsOnlyItems(): boolean {
    // V8 lists the keys of an array quickly.
    return false;
  },

  onExit(callback: () => void): void {
    global.process.on("exit", callback);
  },

  // `AsyncLocalStorage.snapshot()` takes 600 ns for each run and makes garbage, half of what a call
  // takes. What it is made of takes 20 ns.
  captureContext(): ContextRunner {
    const contexts = knownContexts();
    if (!contexts) return asyncHooks().AsyncLocalStorage.snapshot();
    const { getAsyncContext, setAsyncContext } = contexts;
    const captured = getAsyncContext();
    return (body, argument) => {
      const before = getAsyncContext();
      setAsyncContext(captured);
      try {
        return body(argument);
      } finally {
        setAsyncContext(before);
      }
    };
  },

  contextVariable<T>(): ContextVariable<T> {
    const contexts = knownContexts();
    return contexts ? new PlainVariable<T>(contexts) : new (asyncHooks().AsyncLocalStorage)<T>();
  },

  nextTurn(callback: () => void, bell?: Watch | null): void {
    if (bell instanceof SocketWatch) bell.nextTurn(callback);
    else setImmediate(callback);
  },
};
