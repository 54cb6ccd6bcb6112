/**
 * Finds the native library, once per thread, at first use.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import type { Arch, Backend } from "../runtime/backend.ts";
import { decodeBase64 } from "../runtime/base64.ts";
import { backend } from "../runtime/current.ts";
import { checkoutPath } from "../runtime/file_names.ts";
import { embedded, soname } from "./embedded.js";
import { abiVersion, Runtime } from "./layout.ts";
import { LibraryFiles } from "./library_file.ts";
import { batchSymbols, type Native, type NativeBatches, symbols } from "./symbols.ts";

let library: Native | undefined;
/** Under which name the loader finds it again. */
let loadedAs = soname;
let batches: NativeBatches | undefined;

/**
 * The native library: `TANDEM_LIBRARY` if that is set, else the build of this checkout, else the library
 * inside the package.
 *
 * @throws {TandemError} `PERMISSION` without `--allow-ffi` in Deno, or without `--allow-addons` under Node's
 * `--permission`; `UNSUPPORTED` where there is no
 * library for this machine or it cannot be loaded; `INCOMPATIBLE` when it has another version
 */
export function native(): Native {
  return library ??= begin(load(backend()));
}

/** Those functions of the library that do the work of many calls, in the way in which a runtime calls them best. */
export function nativeBatches(): NativeBatches {
  if (batches) return batches;
  native();
  return batches = backend().bind<NativeBatches>(loadedAs, batchSymbols);
}

/**
 * Set on the runtime's `process` object once a program of this thread has loaded the library: a second
 * copy of the package finds it, and a program that was restarted within its process does not.
 */
const begun = Symbol.for("@tandem/ipc begun");

/** Closes the handles that an earlier program of this thread has left open. */
function begin(native: Native): Native {
  const { process } = globalThis as unknown as { process: { [begun]?: true } };
  if (process[begun]) return native;
  Object.defineProperty(process, begun, { value: true });
  native.tandem_begin(Runtime[backend().name]);
  return native;
}

function load(backend: Backend): Native {
  const { platform, arch } = backend;
  if (platform !== "linux" || !isArch(arch)) {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot run @tandem/ipc here: this is ${platform} on ${arch}; use Linux on x86_64 or aarch64`,
    );
  }
  try {
    if (!backend.mayLoad()) throw new TandemError("PERMISSION", needsPermission);
    const override = backend.environment("TANDEM_LIBRARY");
    if (override) return openAt(backend, override);
    const files = new LibraryFiles(backend);
    const url = import.meta.url as string | undefined;
    const local = checkoutPath(url, "/src/ffi/load.ts", `${arch}/libtandem.so`);
    if (local !== null && files.exists(local)) return openAt(backend, local);
    return loadEmbedded(backend, files, arch);
  } catch (error) {
    throw explain(error);
  }
}

function openAt(backend: Backend, path: string): Native {
  loadedAs = path;
  return open(backend, path);
}

function isArch(arch: string): arch is Arch {
  return arch === "x86_64" || arch === "aarch64";
}

function loadEmbedded(backend: Backend, files: LibraryFiles, arch: Arch): Native {
  // One copy for all threads: each copy stays for the life of the process.
  if (files.isResident(soname)) return open(backend, soname);
  const text = embedded[arch];
  if (!text) {
    throw new TandemError(
      "UNSUPPORTED",
      `Cannot load the native library: this package contains none for ${arch}; in a checkout, run scripts/setup`,
    );
  }
  return files.with(decodeBase64(text), (path) => open(backend, path));
}

function open(backend: Backend, path: string): Native {
  let native: Native;
  try {
    native = backend.bind<Native>(path, symbols);
  } catch (error) {
    throw hasOtherVersion(backend, path) ?? error;
  }
  const version = native.tandem_abi_version();
  if (version !== abiVersion) throw incompatible(path, version);
  return native;
}

/** A library of another version may lack a symbol; its version is the more helpful error. */
function hasOtherVersion(backend: Backend, path: string): TandemError | null {
  const { tandem_abi_version } = symbols;
  try {
    const native = backend.bind<Pick<Native, "tandem_abi_version">>(path, { tandem_abi_version });
    const version = native.tandem_abi_version();
    return version === abiVersion ? null : incompatible(path, version);
  } catch {
    return null; // not loadable at all
  }
}

function incompatible(path: string, version: number): TandemError {
  return new TandemError(
    "INCOMPATIBLE",
    `Cannot use the native library ${path}: its interface has version ${version}, this package needs ${abiVersion}; ` +
      "in a checkout, run scripts/setup; else unset TANDEM_LIBRARY",
  );
}

const needsPermission =
  "Cannot load the native library: Deno does not allow it; run with --allow-ffi (for all paths)";

function explain(error: unknown): TandemError {
  if (error instanceof TandemError) return error;
  const { message } = error as Error;
  return new TandemError("UNSUPPORTED", `Cannot load the native library: ${message}`, {
    cause: error,
  });
}
