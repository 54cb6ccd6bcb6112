/**
 * Loads the addon through which Node calls native functions.
 *
 * Node loads addons from files alone. The npm package has such files, because many containers have no folder that
 * is both writable and allowed to hold code. A bundle has no file; then it is one without a name where the
 * system can make such a file, in memory if possible: nothing is left behind, and no other process can
 * reach it.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Arch } from "./backend.ts";
import { decodeBase64 } from "./base64.ts";
import { embedded } from "./embedded_addon.js";
import { checkoutPath, descriptorPath, packagePath } from "./file_names.ts";

/** What the addon exports; see native/node_addon.zig. */
export interface Addon {
  readonly version: number;
  /** Loads a library, never unloads it, and returns its handle. */
  open(path: string): bigint;
  /** `signature`: the letter of the result's kind, then one for each parameter's. */
  bind(library: bigint, name: string, signature: string): (...values: unknown[]) => unknown;
  /** As `bind`, of a function that finds its arguments in memory. No `i32` or `size` among its parameters. */
  bindQuick(library: bigint, name: string, signature: string): QuickFunction;
  /** Where the bytes of a view are, until its buffer is detached. */
  address(view: ArrayBufferView): number;
  /** An `ArrayBuffer` over mapped memory. */
  mapping(address: number, byteLength: number): ArrayBuffer;
  /** Writes the addresses of a function that says whether this thread has to end, and of its argument. */
  interruption(out: Float64Array): void;
}

/** A function whose arguments lie in a block, and its result; native/node/quick.zig has the layout. */
export interface QuickFunction {
  (): void;
  readonly block: ArrayBuffer;
}

const version = 3;

interface Module {
  exports: unknown;
}

// The parts of Node in use, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Only under `--permission`. */
    readonly permission?: { has(scope: "addon" | "net"): boolean };
    readonly allowedNodeEnvironmentFlags: ReadonlySet<string>;
    dlopen(module: Module, path: string): void;
    getBuiltinModule(name: "node:fs"): typeof import("node:fs");
  };
}

// Its `process` is not read here: Deno would load its modules for Node.
const global = globalThis as unknown as Global;

/**
 * The addon, loaded anew in each thread: from the file that the checkout or the npm package has of it, else from the
 * copy inside the code, which needs a folder that can hold it for a moment.
 *
 * @throws {TandemError} `PERMISSION` where Node's permissions forbid it, `UNSUPPORTED` where there is no
 * addon for this processor or no place to load it from
 */
export function loadAddon(arch: string): Addon {
  const url = import.meta.url as string | undefined;
  const file = checkoutPath(url, "/src/runtime/node_addon.ts", `${arch}/tandem-node.node`) ??
    packagePath(url, `tandem-node-${arch}.node`);
  const addon = (file === null ? null : fromFile(file)) ?? fromCopy(arch);
  if (isNetForbidden()) throw forbidden("it may not watch descriptors");
  if (addon.version === version) return addon;
  throw new TandemError(
    "INCOMPATIBLE",
    `Cannot use the addon for Node: it has version ${addon.version}, this package needs ${version}; ` +
      "install the package again, or build it again (scripts/setup)",
  );
}

/** Null: it is not there. */
function fromFile(path: string): Addon | null {
  try {
    return load(path);
  } catch (error) {
    if (areAddonsForbidden(error)) throw forbidden((error as Error).message, error);
    return null;
  }
}

function fromCopy(arch: string): Addon {
  const text = embedded[arch as Arch];
  if (!text) {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot load the addon for Node: this package contains none for ${arch}; use x86_64 or aarch64`,
    );
  }
  const bytes = decodeBase64(text);
  const preferred = global.process.env["TMPDIR"];
  const folders = ["/dev/shm", ...(preferred ? [preferred] : []), "/tmp", "/var/tmp"];
  const failures = new Map<string, unknown>();
  for (const attempt of [fromNamelessFile, fromPrivateFolder]) {
    for (const folder of folders) {
      try {
        return attempt(folder, bytes);
      } catch (error) {
        if (areAddonsForbidden(error)) throw forbidden((error as Error).message, error);
        failures.set(folder, error);
      }
    }
  }
  for (const [folder, error] of failures) {
    if (isWritingForbidden(error)) throw forbidden((error as Error).message, error, folder);
  }
  const found = [...failures].map(([folder, error]) => `${folder}: ${(error as Error).message}`);
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot load the addon for Node: no folder can hold a file with code (${found.join("; ")}); ` +
      "set TMPDIR to a folder that is writable and not mounted with noexec, " +
      "or do not bundle the package, which has the addon as a file",
    { cause: failures.get(folders[0]!) },
  );
}

/** O_TMPFILE without O_DIRECTORY, which has another number on each architecture. */
const nameless = 0o20000000;

function fromNamelessFile(folder: string, bytes: Uint8Array): Addon {
  const fs = global.process.getBuiltinModule("node:fs");
  // Not for reading, which would need another of Node's permissions.
  const { O_WRONLY, O_DIRECTORY } = fs.constants;
  const fd = fs.openSync(folder, O_WRONLY | O_DIRECTORY | nameless, 0o700);
  try {
    fs.writeFileSync(fd, bytes);
    return load(descriptorPath(fd));
  } finally {
    fs.closeSync(fd);
  }
}

/** For file systems that make no nameless files, and where there is no /proc. */
function fromPrivateFolder(parent: string, bytes: Uint8Array): Addon {
  const fs = global.process.getBuiltinModule("node:fs");
  const folder = fs.mkdtempSync(`${parent}/tandem-`);
  const path = `${folder}/tandem-node.node`;
  try {
    const fd = fs.openSync(path, "wx", 0o700);
    try {
      fs.writeFileSync(fd, bytes);
    } finally {
      fs.closeSync(fd);
    }
    return load(path);
  } finally {
    // `rmSync` would need the permission to read. There may be no file.
    quietly(() => fs.unlinkSync(path));
    fs.rmdirSync(folder);
  }
}

function quietly(body: () => void): void {
  try {
    body();
  } catch {
    // The caller can do nothing about it.
  }
}

function load(path: string): Addon {
  const module: Module = { exports: {} };
  global.process.dlopen(module, path);
  return module.exports as Addon;
}

/** By `--permission` without `--allow-addons`, or by `--no-addons`. */
function areAddonsForbidden(error: unknown): boolean {
  return (error as { code?: string }).code === "ERR_DLOPEN_DISABLED";
}

/** By Node's permissions, rather than the system's. */
function isWritingForbidden(error: unknown): boolean {
  return (error as { code?: string }).code === "ERR_ACCESS_DENIED";
}

/** Newer versions have this permission, and demand it for any descriptor that is to be watched. */
function isNetForbidden(): boolean {
  const { permission, allowedNodeEnvironmentFlags: flags } = global.process;
  return permission?.has("net") === false && flags.has("--allow-net");
}

/** @param folder where Node has to write; undefined: nowhere, or it may */
function forbidden(reason: string, cause?: unknown, folder?: string): TandemError {
  const { permission } = global.process;
  const flags = [
    ...(permission?.has("addon") === false ? ["--allow-addons"] : []),
    ...(isNetForbidden() ? ["--allow-net"] : []),
    ...(folder === undefined ? [] : [`--allow-fs-write=${folder}`]),
  ];
  const advice = permission ? `with ${flags.join(" and ")}` : "without --no-addons";
  return new TandemError(
    "PERMISSION",
    `Cannot load the addon for Node: Node forbids it (${reason}); run it ${advice}`,
    cause === undefined ? {} : { cause },
  );
}
