/**
 * The file of a Unix socket. libzmq removes whatever is there before it listens, also a file of another kind, and the
 * socket of a program that is at work. It leaves its own there when it closes.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { bindC } from "../runtime/c_library.ts";

interface Info {
  readonly dev: bigint;
  readonly ino: bigint;
  isSocket(): boolean;
}

interface FileSystem {
  lstatSync(path: string, options: { bigint: true; throwIfNoEntry: false }): Info | undefined;
  unlinkSync(path: string): void;
}

// The parts in use, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: { getBuiltinModule(name: "node:fs"): FileSystem };
}

interface CFunctions {
  socket(family: number, type: number, protocol: number): number;
  connect(fd: number, address: Uint8Array, length: number): number;
  close(fd: number): number;
}

const unixFamily = 1;
const stream = 1;
const closeOnExec = 0o2000000;

export class IpcPath {
  /** Null: the address has no file. */
  readonly #path: string | null;
  /** The socket, while somebody listens. */
  #own: Info | undefined;

  constructor(endpoint: string) {
    this.#path = /^ipc:\/\/([^@*].*)$/s.exec(endpoint)?.[1] ?? null;
  }

  /** @throws {TandemError} `EXISTS` where listening would take something away; `PERMISSION` */
  check(): void {
    const path = this.#path;
    const found = path === null ? undefined : look(path);
    if (path === null || !found) return;
    const problem = !found.isSocket()
      ? "there is a file that is no socket; choose another path, or remove it"
      : isHeard(path)
      ? "another socket listens there; end its program, or choose another path"
      : null;
    if (problem) throw new TandemError("EXISTS", `Cannot listen on ipc://${path}: ${problem}`);
  }

  /** A socket of this process listens there from now on. */
  taken(): void {
    if (this.#path !== null) this.#own = look(this.#path);
  }

  /** Removes the file, unless it is another one by now. */
  close(): void {
    const own = this.#own;
    if (this.#path === null || !own) return;
    this.#own = undefined;
    try {
      const found = look(this.#path);
      if (found?.ino === own.ino && found.dev === own.dev) fileSystem().unlinkSync(this.#path);
    } catch {
      // The folder is no longer this process's to change. The next door takes the file over.
    }
  }
}

const fileSystem = (): FileSystem =>
  (globalThis as unknown as Global).process.getBuiltinModule("node:fs");

function look(path: string): Info | undefined {
  try {
    return fileSystem().lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    throw new TandemError(
      "PERMISSION",
      `Cannot listen on ipc://${path}: this process may not look what is there: ` +
        `${(error as Error).message}; allow it to read the folder`,
    );
  }
}

/** Whether a program listens on a socket. */
function isHeard(path: string): boolean {
  const { socket, connect, close } = bindC<CFunctions>({
    socket: { parameters: ["i32", "i32", "i32"], result: "i32", cold: true },
    connect: { parameters: ["i32", "buffer", "u32"], result: "i32", cold: true },
    close: { parameters: ["i32"], result: "i32", cold: true },
  });
  const fd = socket(unixFamily, stream | closeOnExec, 0);
  const address = Uint8Array.of(unixFamily, 0, ...new TextEncoder().encode(`${path}\0`));
  const isHeard = connect(fd, address, address.byteLength) === 0;
  close(fd);
  return isHeard;
}
