/**
 * Loads the addon through which Node calls native functions.
 *
 * Node loads addons from files alone. The file is one without a name where the system can make such a file,
 * in memory if possible: nothing is left behind, and no other process can reach it.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Arch } from "./backend.ts";
import { decodeBase64 } from "./base64.ts";
import { embedded } from "./embedded_addon.js";
import { checkoutPath, descriptorPath } from "./file_names.ts";

/** What the addon exports; see native/node_addon.zig. */
export interface Addon {
  readonly version: number;
  /** Loads a library, never unloads it, and returns its handle. */
  open(path: string): bigint;
  /** `signature`: the letter of the result's kind, then one for each parameter's. */
  bind(library: bigint, name: string, signature: string): (...values: unknown[]) => unknown;
  /** An `ArrayBuffer` over mapped memory. */
  mapping(address: number, byteLength: number): ArrayBuffer;
  /** Writes the addresses of a function that says whether this thread has to end, and of its argument. */
  interruption(out: Float64Array): void;
}

const version = 2;

interface Module {
  exports: unknown;
}

// The parts of Node in use, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Only with `--permission`. */
    readonly permission?: { has(scope: string): boolean };
    readonly allowedNodeEnvironmentFlags: ReadonlySet<string>;
    dlopen(module: Module, path: string): void;
    getBuiltinModule(name: "node:fs"): typeof import("node:fs");
  };
}

const { process } = globalThis as unknown as Global;

/**
 * The addon, loaded anew in each thread.
 *
 * @throws {TandemError} `PERMISSION` where Node's permissions forbid it, `UNSUPPORTED` where there is no
 * addon for this processor or no place to load it from
 */
export function loadAddon(arch: string): Addon {
  if (process.permission?.has("net") === false && hasNetPermission()) {
    throw forbidden("it may not watch descriptors");
  }
  const built = checkoutPath(
    import.meta.url as string | undefined,
    "/src/runtime/node_addon.ts",
    `${arch}/tandem-node.node`,
  );
  const addon = (built === null ? null : fromCheckout(built)) ?? fromPackage(arch);
  if (addon.version === version) return addon;
  throw new TandemError(
    "INCOMPATIBLE",
    `Cannot use the addon for Node: it has version ${addon.version}, this package needs ${version}; ` +
      "build it again (scripts/setup)",
  );
}

/** Null: it is not built. */
function fromCheckout(path: string): Addon | null {
  try {
    return load(path);
  } catch (error) {
    if (isForbidden(error)) throw forbidden((error as Error).message, error);
    return null;
  }
}

function fromPackage(arch: string): Addon {
  const text = embedded[arch as Arch];
  if (!text) {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot load the addon for Node: this package contains none for ${arch}; use x86_64 or aarch64`,
    );
  }
  const bytes = decodeBase64(text);
  const preferred = process.env["TMPDIR"];
  const folders = ["/dev/shm", ...(preferred ? [preferred] : []), "/tmp", "/var/tmp"];
  const failures: unknown[] = [];
  for (const attempt of [fromNamelessFile, fromPrivateFolder]) {
    for (const folder of folders) {
      try {
        return attempt(folder, bytes);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  const refusal = failures.find(isForbidden);
  if (refusal !== undefined) throw forbidden((refusal as Error).message, refusal);
  // Those of the private folders: the others say the same of paths that nobody knows.
  const reasons = failures.slice(folders.length).map((error) => (error as Error).message);
  throw new TandemError(
    "UNSUPPORTED",
    `Cannot load the addon for Node: no folder of ${
      folders.join(", ")
    } can hold a file with code (${reasons.join("; ")}); ` +
      "set TMPDIR to a folder that is writable and not mounted with noexec",
    { cause: failures[0] },
  );
}

/** O_TMPFILE without O_DIRECTORY, which has another number on each architecture. */
const nameless = 0o20000000;

function fromNamelessFile(folder: string, bytes: Uint8Array): Addon {
  const fs = process.getBuiltinModule("node:fs");
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
  const fs = process.getBuiltinModule("node:fs");
  const folder = fs.mkdtempSync(`${parent}/tandem-`);
  const path = `${folder}/tandem-node.node`;
  try {
    fs.writeFileSync(path, bytes, { flag: "wx", mode: 0o700 });
    return load(path);
  } finally {
    fs.rmSync(path, { force: true });
    fs.rmdirSync(folder);
  }
}

function load(path: string): Addon {
  const module: Module = { exports: {} };
  process.dlopen(module, path);
  return module.exports as Addon;
}

/** Whether Node's permissions were missing, rather than the system's. */
function isForbidden(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "ERR_DLOPEN_DISABLED" || code === "ERR_ACCESS_DENIED";
}

function forbidden(reason: string, cause?: unknown): TandemError {
  const net = hasNetPermission() ? ", --allow-net" : "";
  return new TandemError(
    "PERMISSION",
    `Cannot load the addon for Node: its permissions forbid it (${reason}); ` +
      `run with --allow-addons${net} and --allow-fs-write=/dev/shm`,
    cause === undefined ? {} : { cause },
  );
}

/** Newer versions have it, and need it for any descriptor that is to be watched. */
function hasNetPermission(): boolean {
  return process.allowedNodeEnvironmentFlags.has("--allow-net");
}
