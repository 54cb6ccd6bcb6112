/**
 * The backend for Bun.
 *
 * @module
 */
import { showsOnlyItems } from "./bun_arrays.ts";
import { closeDescriptor, epollOver } from "./bun_pipes.ts";
import { isSink } from "./bun_sinks.ts";
import {
  type AsyncHooks,
  type Backend,
  bellDatagram,
  type ContextRunner,
  type ContextVariable,
  type Signature,
  type Table,
  type Watch,
} from "./backend.ts";
import { NodeLike } from "./node_like.ts";

// The parts of Bun in use, declared here so that the file type-checks under every compiler.
interface FFI {
  dlopen(path: string, symbols: object): { readonly symbols: unknown };
  toArrayBuffer(address: number, byteOffset: number, byteLength: number): ArrayBuffer;
}

interface Socket {
  ref(): void;
  unref(): void;
  terminate(): void;
}

interface SocketHandler {
  open(socket: Socket): void;
  data(): void;
  close(): void;
}

interface Global {
  readonly Bun: {
    readonly main: string;
    connect(options: { fd: number; socket: SocketHandler }): Promise<Socket>;
  };
  readonly process: {
    readonly platform: string;
    readonly arch: string;
    readonly execArgv: readonly string[];
    readonly execPath: string;
    readonly pid: number;
    geteuid(): number;
    readonly env: Record<string, string | undefined>;
    getBuiltinModule(name: string): unknown;
    on(event: "exit", listener: () => void): void;
    on(event: "unhandledRejection", listener: (reason: unknown) => void): void;
    listenerCount(event: "unhandledRejection"): number;
  };
}

const global: Global = globalThis as unknown as Global;

/** A socket in the loop. */
class SocketWatch implements Watch {
  #socket: Socket | null = null;
  #isOpen = true;

  constructor(fd: number, onReadable: () => void, onHangup: () => void) {
    // No `error`: it would only swallow the errors of the callbacks. A reset arrives in `close`.
    const socket: SocketHandler = {
      // Runs before `connect` returns: its promise would come too late for an immediate `ref` or `close`.
      open: (socket) => {
        socket.unref();
        this.#socket = socket;
      },
      data: () => {
        if (this.#isOpen) onReadable();
      },
      close: () => {
        if (!this.#isOpen) return;
        this.#isOpen = false;
        onHangup();
      },
    };
    global.Bun.connect({ fd, socket }).catch(() => {});
    if (this.#socket === null) throw new Error(`Bun cannot watch file descriptor ${fd}`);
  }

  ref(): void {
    this.#socket?.ref();
  }

  unref(): void {
    this.#socket?.unref();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket?.terminate();
  }
}

/** A pipe in the loop, for its hang-up. */
class PipeWatch implements Watch {
  readonly #pipe: number;
  readonly #watch: Watch;
  #isOpen = true;

  constructor(pipe: number, onHangup: () => void) {
    this.#pipe = pipe;
    const hungUp = () => {
      this.#closePipe();
      onHangup();
    };
    try {
      this.#watch = new SocketWatch(epollOver(pipe, bun), () => {}, hungUp);
    } catch (error) {
      this.#closePipe();
      throw error;
    }
  }

  ref(): void {
    this.#watch.ref();
  }

  unref(): void {
    this.#watch.unref();
  }

  close(): void {
    this.#watch.close();
    this.#closePipe();
  }

  #closePipe(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeDescriptor(this.#pipe);
  }
}

function ffi(): FFI {
  // Not an import: other runtimes and compilers reject the scheme.
  return global.process.getBuiltinModule("bun:ffi") as FFI;
}

function asyncHooks(): AsyncHooks {
  return global.process.getBuiltinModule("node:async_hooks") as AsyncHooks;
}

/** The signature as Bun takes it. */
function translate({ parameters, result }: Signature): object {
  const rename = (kind: string) => kind === "size" ? "u64" : kind === "bytes" ? "buffer" : kind;
  return { args: parameters.map(rename), returns: rename(result) };
}

class BunBackend extends NodeLike implements Backend {
  readonly name = "bun";
  readonly bellKind = bellDatagram;

  get binary(): string | null {
    // Where a compiled program has its files.
    return global.Bun.main.startsWith("/$bunfs/") ? null : global.process.execPath;
  }

  override get replacesCode(): boolean {
    return global.process.execArgv.includes("--hot");
  }

  bind<Functions>(path: string, table: Table): Functions {
    const declarations: Record<string, object> = {};
    for (const [name, signature] of Object.entries(table)) {
      declarations[name] = translate(signature);
    }
    return ffi().dlopen(path, declarations).symbols as Functions;
  }

  mapping(address: number, byteLength: number): ArrayBuffer {
    return ffi().toArrayBuffer(address, 0, byteLength);
  }

  override watch(fd: number, onReadable: () => void, onHangup: () => void): Watch {
    return new SocketWatch(fd, onReadable, onHangup);
  }

  override watchHangup(fd: number, onHangup: () => void): Watch {
    return new PipeWatch(fd, onHangup);
  }

  override showsOnlyItems(array: readonly unknown[]): boolean {
    return showsOnlyItems(array);
  }

  override isSink(value: unknown): boolean {
    return isSink(value);
  }

  override onUncaught(callback: (error: unknown) => void): void {
    super.onUncaught(callback);
    // Only rejections that a listener throws again arrive there.
    const { process } = global;
    process.on("unhandledRejection", (reason) => {
      if (process.listenerCount("unhandledRejection") === 1) throw reason;
    });
  }

  captureContext(): ContextRunner {
    return asyncHooks().AsyncLocalStorage.snapshot();
  }

  contextVariable<T>(): ContextVariable<T> {
    return new (asyncHooks().AsyncLocalStorage)<T>();
  }
}

/** The backend for Bun. */
export const bun: Backend = new BunBackend();
