/**
 * What the runtimes share. All of them have the `process` object of Node, and each of them does some of these
 * things in its own way.
 *
 * @module
 */
import type { Watch } from "./backend.ts";
import { setImmediate } from "./timers.ts";

// The parts of Node in use, declared here so that the file type-checks under every compiler.
interface NodeProcess {
  readonly platform: string;
  readonly arch: string;
  readonly pid: number;
  geteuid(): number;
  readonly env: Readonly<Record<string, string | undefined>>;
  on(event: "exit" | "beforeExit", listener: () => void): void;
  on(event: "uncaughtExceptionMonitor", listener: (error: unknown) => void): void;
  listenerCount(event: "uncaughtException"): number;
  exit(code: number): never;
  getBuiltinModule(name: "node:worker_threads"): { readonly isMainThread: boolean };
}

/** Read when it is needed: Deno loads its modules for Node then. */
function nodeProcess(): NodeProcess {
  return (globalThis as unknown as { readonly process: NodeProcess }).process;
}

/** The base of the backends. {@linkcode Backend} says what the members mean. */
export abstract class NodeLike {
  get pid(): number {
    return nodeProcess().pid;
  }

  get uid(): number {
    return nodeProcess().geteuid();
  }

  get platform(): string {
    return nodeProcess().platform;
  }

  get arch(): string {
    const { arch } = nodeProcess();
    return arch === "x64" ? "x86_64" : arch === "arm64" ? "aarch64" : arch;
  }

  abstract watch(fd: number, onReadable: () => void, onHangup: () => void): Watch;

  watchHangup(fd: number, onHangup: () => void): Watch {
    return this.watch(fd, () => {}, onHangup);
  }

  environment(name: string): string | undefined {
    return nodeProcess().env[name];
  }

  get replacesCode(): boolean {
    return false;
  }

  mayLoad(): boolean {
    return true;
  }

  get marksInherited(): boolean {
    return true;
  }

  // A process ends without its threads, and a thread that is terminated is left to itself.
  interruption(): readonly [ask: number, argument: number] | null {
    return null;
  }

  get copiedBytesMax(): number {
    return 0;
  }

  get arraysAreCostly(): boolean {
    return false;
  }

  // V8 lists the keys of an array quickly.
  showsOnlyItems(_array: readonly unknown[]): boolean {
    return false;
  }

  isSink(_value: unknown): boolean {
    return false;
  }

  onExit(callback: () => void): void {
    nodeProcess().on("exit", callback);
  }

  get isMainThread(): boolean {
    return nodeProcess().getBuiltinModule("node:worker_threads").isMainThread;
  }

  onUncaught(callback: (error: unknown) => void): void {
    const process = nodeProcess();
    process.on("uncaughtExceptionMonitor", (error) => {
      // With such a listener, the process goes on.
      if (process.listenerCount("uncaughtException") === 0) callback(error);
    });
  }

  onDrained(callback: () => void): void {
    nodeProcess().on("beforeExit", callback);
  }

  exit(code: number): never {
    return nodeProcess().exit(code);
  }

  nextTurn(callback: () => void): void {
    setImmediate(callback);
  }
}
