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
import { needsPulse } from "./deno_pulses.ts";
import { NodeLike } from "./node_like.ts";
import { now, setImmediate } from "./timers.ts";

type Pointer = object | null;

// The parts of Deno in use, declared here so that the file type-checks under every compiler.
interface DynamicLibrary {
  readonly symbols: Readonly<Record<string, unknown>>;
  close(): void;
}

interface DenoGlobal {
  readonly build: {
    readonly os: string;
    readonly arch: string;
    readonly standalone?: boolean;
  };
  readonly env: { get(name: string): string | undefined };
  readonly internal?: symbol;
  readonly permissions: {
    querySync(
      permission: { name: "env"; variable: string } | { name: "sys"; kind: "uid" },
    ): { readonly state: string };
    requestSync(permission: { name: "ffi" }): { readonly state: string };
  };
  dlopen(path: string, symbols: object): DynamicLibrary;
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

/** The base of `AsyncLocalStorage` in Deno. Not public, so it may be missing. */
interface AsyncContexts {
  getAsyncContext?(): unknown;
  setAsyncContext?(context: unknown): void;
}

interface Global {
  addEventListener(name: "error", listener: (event: { readonly error: unknown }) => void): void;
  addEventListener(
    name: "unhandledrejection",
    listener: (event: { readonly reason: unknown }) => void,
  ): void;
  readonly Deno: DenoGlobal;
  readonly process: {
    readonly execPath: string;
    readonly pid: number;
    geteuid(): number;
    getBuiltinModule(name: string): unknown;
    on(event: "exit", listener: () => void): void;
  };
}

const global: Global = globalThis as unknown as Global;

const pulse = new Uint8Array(1);

/** A pipe or socket in the loop, through `node:net`: Deno's own APIs take no descriptor. */
class SocketWatch implements Watch {
  readonly #socket: Socket;
  #isOpen = true;
  #isReferenced = false;
  /** When Deno has looked at its sockets, as far as this loop knows. */
  #lastLook = 0;
  /** Runs when the pulse has come back. */
  #beat: (() => void) | null = null;

  constructor(fd: number, onReadable: () => void, onHangup: () => void) {
    // Not an import: it takes 7 to 20 ms, which only programs that wait for promises need to pay.
    const net = global.process.getBuiltinModule("node:net") as NodeNet;
    this.#socket = new net.Socket({
      fd,
      readable: true,
      writable: true,
      // Without it, a stream's events stand between an arrival and the look: 15 µs after a silence.
      onread: {
        buffer: new Uint8Array(64),
        callback: () => {
          const beat = this.#endPulse();
          // Deno has just looked at its sockets.
          this.#lastLook = now();
          if (this.#isOpen) onReadable();
          beat?.();
          return true;
        },
      },
    });
    this.#socket.unref();
    // A socket reports the death of its other end so; "close" follows.
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
  nextTurn(callback: () => void, isFirst: boolean): void {
    const time = now();
    if (!needsPulse(time - this.#lastLook, isFirst) || this.#beat !== null || !this.#isOpen) {
      setImmediate(callback);
      return;
    }
    this.#lastLook = time;
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

/** The signature as Deno takes it. */
function translate({ parameters, result }: Signature): object {
  const rename = (kind: string) => kind === "size" ? "usize" : kind === "bytes" ? "buffer" : kind;
  return { parameters: parameters.map(rename), result: rename(result) };
}

function bindOnce(path: string, table: Table, closes: boolean): Record<string, unknown> {
  const { Deno } = global;
  const declarations: Record<string, object> = {};
  for (const [name, signature] of Object.entries(table)) {
    declarations[name] = signature.cold ? { type: "pointer" } : translate(signature);
  }
  const library = Deno.dlopen(path, declarations);
  const functions: Record<string, unknown> = { ...library.symbols };
  for (const [name, signature] of Object.entries(table)) {
    if (!signature.cold) continue;
    const cold = new Deno.UnsafeFnPointer(functions[name] as Pointer, translate(signature));
    functions[name] = (...values: unknown[]) => cold.call(...values);
  }
  if (closes) library.close();
  return functions;
}

function works(functions: Readonly<Record<string, unknown>>, table: Table): boolean {
  const probe = Object.keys(table).find((name) => table[name]?.probe);
  // Without one, all are cold: pointers, which have nothing to do with the open library.
  if (probe === undefined) return true;
  try {
    (functions[probe] as () => void)();
    return true;
  } catch {
    return false;
  }
}

/** A context: an entry for each variable. */
type Context = Readonly<Record<string | symbol, unknown>> | null | undefined;

let asyncContexts: Required<AsyncContexts> | null | undefined;

/** Null: this version of Deno works in another way. */
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

/** Whether a context is an object that can be copied and extended. */
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
 * An `AsyncLocalStorage` without an entry in a weak map for each run. Such an entry takes 250 to 600 ns, and
 * as much again at garbage collection: half the time of a short call.
 */
class CopyingVariable<T> implements ContextVariable<T> {
  readonly #contexts: Required<AsyncContexts>;
  /** Different in each copy of the package. */
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

class DenoBackend extends NodeLike implements Backend {
  readonly name = "deno";
  readonly bellKind = bellFifo;

  override get uid(): number {
    const { state } = global.Deno.permissions.querySync({ name: "sys", kind: "uid" });
    return state === "granted" ? global.process.geteuid() : -1;
  }

  override get platform(): string {
    return global.Deno.build.os;
  }

  override get arch(): string {
    return global.Deno.build.arch;
  }

  get binary(): string | null {
    return global.Deno.build.standalone ? null : global.process.execPath;
  }

  override environment(name: string): string | undefined {
    // Reading without the permission would ask the user, or throw.
    const { state } = global.Deno.permissions.querySync({ name: "env", variable: name });
    return state === "granted" ? global.Deno.env.get(name) : undefined;
  }

  override get marksInherited(): boolean {
    return false;
  }

  // Here V8 keeps no small arrays on its heap, so each has memory of its own: 0.2 to 0.7 µs.
  override get arraysAreCostly(): boolean {
    return true;
  }

  override onUncaught(callback: (error: unknown) => void): void {
    global.addEventListener("error", (event) => callback(event.error));
    global.addEventListener("unhandledrejection", (event) => callback(event.reason));
  }

  override mayLoad(): boolean {
    // For all paths, as pointers require. One prompt, before Deno prompts for each path that is tried.
    return global.Deno.permissions.requestSync({ name: "ffi" }).state === "granted";
  }

  // Deno compiles each function that it binds, which takes 0.1 to 0.4 ms at start and 20 to 40 ns for a
  // call. A pointer takes no time at start and 2 µs for a call: cold functions are bound as pointers.
  bind<Functions>(path: string, table: Table): Functions {
    const closed = bindOnce(path, table, true);
    // Deno does not promise that functions outlive `close`. It is so as long as the library stays mapped.
    return (works(closed, table) ? closed : bindOnce(path, table, false)) as Functions;
  }

  mapping(address: number, byteLength: number): ArrayBuffer {
    const { UnsafePointer, UnsafePointerView } = global.Deno;
    return UnsafePointerView.getArrayBuffer(UnsafePointer.create(BigInt(address)), byteLength);
  }

  override watch(fd: number, onReadable: () => void, onHangup: () => void): Watch {
    return new SocketWatch(fd, onReadable, onHangup);
  }

  // `AsyncLocalStorage.snapshot()` takes 600 ns for each run, half the time of a call, and makes garbage.
  // Its own base takes 20 ns.
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
  }

  contextVariable<T>(): ContextVariable<T> {
    const contexts = knownContexts();
    return contexts ? new CopyingVariable<T>(contexts) : new (asyncHooks().AsyncLocalStorage)<T>();
  }

  override nextTurn(callback: () => void, bell?: Watch | null, isFirst: boolean = false): void {
    if (bell instanceof SocketWatch) bell.nextTurn(callback, isFirst);
    else setImmediate(callback);
  }
}

/** The backend for Deno. */
export const deno: Backend = new DenoBackend();
