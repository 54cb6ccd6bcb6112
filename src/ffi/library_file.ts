/**
 * Puts the bytes of a library into a file, since `dlopen` takes a path.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Backend, Table } from "../runtime/backend.ts";
import { descriptorPath } from "../runtime/file_names.ts";

const symbols = {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32", cold: true },
  mkdtemp: { parameters: ["buffer"], result: "size", cold: true },
  creat: { parameters: ["buffer", "u32"], result: "i32", cold: true },
  write: { parameters: ["i32", "buffer", "size"], result: "i32", cold: true },
  close: { parameters: ["i32"], result: "i32", cold: true },
  access: { parameters: ["buffer", "i32"], result: "i32", cold: true },
  unlink: { parameters: ["buffer"], result: "i32", cold: true },
  rmdir: { parameters: ["buffer"], result: "i32", cold: true },
} as const satisfies Table;

/** The functions of the C library in use. They need no permission beside that for loading a library. */
interface CLibrary {
  memfd_create(name: Uint8Array, flags: number): number;
  mkdtemp(template: Uint8Array): bigint;
  creat(path: Uint8Array, mode: number): number;
  write(fd: number, bytes: Uint8Array, byteLength: bigint): number;
  close(fd: number): number;
  access(path: Uint8Array, mode: number): number;
  unlink(path: Uint8Array): number;
  rmdir(path: Uint8Array): number;
}

const closeOnExec = 1; // MFD_CLOEXEC
const noExecSeal = 8; // MFD_NOEXEC_SEAL: no execve(), on which some systems insist; mapping is fine
const loadNow = 2; // RTLD_NOW
const ifResident = 4; // RTLD_NOLOAD

/** Files from which `dlopen` can load. */
export class LibraryFiles {
  readonly #backend: Backend;
  readonly #cName: string;
  readonly #c: CLibrary;

  constructor(backend: Backend) {
    this.#backend = backend;
    // glibc; musl under its own name; musl's loader, which is the C library too.
    const names = [
      "libc.so.6",
      `libc.musl-${backend.arch}.so.1`,
      `/lib/ld-musl-${backend.arch}.so.1`,
    ];
    [this.#cName, this.#c] = firstOf(
      names,
      (name) => [name, backend.bind<CLibrary>(name, symbols)],
    );
  }

  /** Whether there is a readable file at `path`. */
  exists(path: string): boolean {
    return this.#c.access(cString(path), 4) === 0;
  }

  /** Whether a library of that SONAME is loaded, by another thread for instance. */
  isResident(soname: string): boolean {
    // The runtimes' own `dlopen` would search directories next, in Bun also the current one.
    const table = {
      dlopen: { parameters: ["buffer", "i32"], result: "size", cold: true },
    } as const;
    try {
      const { dlopen } = firstOf(
        [this.#cName, "libdl.so.2"], // a part of the C library since glibc 2.34
        (name) => this.#backend.bind<{ dlopen(n: Uint8Array, flags: number): bigint }>(name, table),
      );
      return dlopen(cString(soname), loadNow | ifResident) !== 0n;
    } catch {
      return false;
    }
  }

  /**
   * Calls `use` with the path of a file that contains `bytes`. The file is gone when this returns.
   *
   * The first choice is a file in memory. Where that is refused (no /proc, a security module), it is a
   * file in a new private directory.
   */
  with<T>(bytes: Uint8Array, use: (path: string) => T): T {
    const preferred = this.#backend.environment("TMPDIR");
    const directories = [...(preferred ? [preferred] : []), "/tmp", "/var/tmp", "/dev/shm"];
    return firstOf(["", ...directories], (directory) => {
      return directory ? this.#inDirectory(directory, bytes, use) : this.#inMemory(bytes, use);
    });
  }

  #inMemory<T>(bytes: Uint8Array, use: (path: string) => T): T {
    const name = cString("tandem");
    let fd = this.#c.memfd_create(name, closeOnExec | noExecSeal);
    if (fd < 0) fd = this.#c.memfd_create(name, closeOnExec); // a kernel before 6.3
    if (fd < 0) throw new Error("memfd_create failed");
    try {
      this.#write(fd, bytes);
      return use(descriptorPath(fd));
    } finally {
      this.#c.close(fd); // the mapping stays
    }
  }

  #inDirectory<T>(parent: string, bytes: Uint8Array, use: (path: string) => T): T {
    const template = cString(`${parent}/tandem-XXXXXX`);
    if (this.#c.mkdtemp(template) === 0n) throw new Error(`cannot make a directory in ${parent}`);
    const directory = new TextDecoder().decode(template.subarray(0, -1));
    const path = `${directory}/libtandem.so`;
    try {
      const fd = this.#c.creat(cString(path), 0o700);
      if (fd < 0) throw new Error(`cannot create ${path}`);
      try {
        this.#write(fd, bytes);
      } finally {
        this.#c.close(fd);
      }
      return use(path);
    } finally {
      this.#c.unlink(cString(path));
      this.#c.rmdir(cString(directory));
    }
  }

  #write(fd: number, bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.byteLength;) {
      const rest = bytes.subarray(offset);
      const written = this.#c.write(fd, rest, BigInt(rest.byteLength));
      if (written <= 0) throw new Error("cannot write the library: no space left?");
      offset += written;
    }
  }
}

/** The first result; a `TandemError` is final. @throws {AggregateError} when there is none */
function firstOf<A, T>(alternatives: readonly A[], attempt: (alternative: A) => T): T {
  const failures: unknown[] = [];
  for (const alternative of alternatives) {
    try {
      return attempt(alternative);
    } catch (error) {
      if (error instanceof TandemError) throw error;
      failures.push(error);
    }
  }
  throw new AggregateError(failures, failures.map(String).join("; "));
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(text + "\0");
}
