/**
 * The backend for Node.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import {
  type Backend,
  bellFifo,
  type ContextRunner,
  type ContextVariable,
  type Kind,
  type Signature,
  type Table,
  type Watch,
} from "./backend.ts";
import { type Addon, loadAddon } from "./node_addon.ts";
import { captureContext, contextVariable } from "./node_contexts.ts";
import { quickCall } from "./node_calls.ts";
import { NodeLike } from "./node_like.ts";

interface Socket {
  on(event: string, listener: () => void): void;
  ref(): void;
  unref(): void;
  destroy(): void;
}

interface NodeNet {
  readonly Socket: new (options: object) => Socket;
}

interface NodeThreads {
  readonly isMainThread: boolean;
}

// The parts of Node in use, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    readonly platform: string;
    readonly arch: string;
    readonly versions: Readonly<Record<string, string | undefined>>;
    readonly execPath: string;
    readonly pid: number;
    geteuid(): number;
    readonly env: Readonly<Record<string, string | undefined>>;
    getBuiltinModule(name: string): unknown;
    on(event: "exit", listener: () => void): void;
  };
}

const global: Global = globalThis as unknown as Global;

/** A pipe or socket in the loop. */
class SocketWatch implements Watch {
  readonly #socket: Socket;
  #isOpen = true;

  constructor(fd: number, onReadable: () => void, onHangup: () => void) {
    // Not an import: only programs that wait for promises need it.
    const net = global.process.getBuiltinModule("node:net") as NodeNet;
    this.#socket = new net.Socket({
      fd,
      readable: true,
      writable: false,
      // Node would allocate 64 KiB for each arrival.
      onread: {
        buffer: new Uint8Array(64),
        callback: () => {
          if (this.#isOpen) onReadable();
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
      onHangup();
    });
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.destroy();
  }
}

let loaded: Addon | undefined;

function addon(): Addon {
  return loaded ??= loadAddon(node.arch);
}

const letters: Readonly<Record<Kind, string>> = {
  u32: "u",
  i32: "i",
  f64: "f",
  buffer: "b",
  bytes: "b",
  size: "s",
  void: "v",
};

/** The signature as the addon takes it. */
function translate({ parameters, result }: Signature): string {
  return letters[result] + parameters.map((kind) => letters[kind]).join("");
}

/** The oldest version that runs the package: a minor version of each major one up to the first listed. */
const oldest: readonly [major: number, minor: number] = [22, 18];

/**
 * Checks the version of Node.
 *
 * @throws {TandemError} `UNSUPPORTED` where it is too old
 */
export function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return;
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot run @tandem/ipc in Node ${version}: it needs ${oldest.join(".")} or newer; ` +
      "install a newer Node, or use Deno or Bun",
  );
}

class NodeBackend extends NodeLike implements Backend {
  readonly name = "node";
  readonly bellKind = bellFifo;

  get binary(): string | null {
    const sea = global.process.getBuiltinModule("node:sea") as { isSea?(): boolean } | undefined;
    return sea?.isSea?.() ? null : global.process.execPath;
  }

  bind<Functions>(path: string, table: Table): Functions {
    const { open, bind, bindQuick, address } = addon();
    const library = open(path);
    const functions: Record<string, unknown> = {};
    for (const [name, signature] of Object.entries(table)) {
      const letters = translate(signature);
      const quick = signature.cold
        ? null
        : quickCall(signature, address, () => bindQuick(library, name, letters));
      functions[name] = quick ?? bind(library, name, letters);
    }
    return functions as Functions;
  }

  mapping(address: number, byteLength: number): ArrayBuffer {
    // Node does not let programs transfer buffers that addons make. What took its memory over is as any other.
    return addon().mapping(address, byteLength).transfer();
  }

  override interruption(): readonly [number, number] | null {
    const threads = global.process.getBuiltinModule("node:worker_threads") as NodeThreads;
    if (threads.isMainThread) return null;
    const out = new Float64Array(2);
    addon().interruption(out);
    return [out[0]!, out[1]!];
  }

  override watch(fd: number, onReadable: () => void, onHangup: () => void): Watch {
    return new SocketWatch(fd, onReadable, onHangup);
  }

  // V8 keeps arrays of up to 64 bytes on its heap, and takes 250 ns to move one out.
  override get copiedBytesMax(): number {
    return 64;
  }

  captureContext(): ContextRunner {
    return captureContext();
  }

  contextVariable<T>(): ContextVariable<T> {
    return contextVariable<T>();
  }
}

/** The backend for Node. */
export const node: Backend = new NodeBackend();
