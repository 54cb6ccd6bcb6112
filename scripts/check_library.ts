/**
 * Checks that the built libraries export what they should and nothing else, need nothing that a process may
 * lack, and are small; and that the package contains these builds. Prints the problems.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { embedded as embeddedLibraries } from "../src/ffi/embedded.js";
import { symbols } from "../src/ffi/symbols.ts";
import { embedded as embeddedAddons } from "../src/runtime/embedded_addon.js";

/** A file that is built for each architecture. */
interface Shipped {
  readonly file: string;
  readonly bytesMax: number;
  /** Whether it stays loaded when everything that has loaded it is gone. */
  readonly stays: boolean;
  readonly exports: ReadonlySet<string>;
  /** Where the exports are listed. */
  readonly list: string;
  /** What it may need besides functions of libc. */
  readonly needs: ReadonlySet<string>;
  readonly embedded: Readonly<Record<string, string>>;
}

const shipped: readonly Shipped[] = [
  {
    file: "libtandem.so",
    // 120 KiB, 20 for records, guards, titles and the end of processes with their descendants (pools), 38 for
    // the concurrency limit: its protocol, its listing, its waits, and the program that takes a process's place,
    // and 6 for sentinels, quiet clients, boards, and looks at all participants at once.
    bytesMax: 184 * 1024,
    stays: true,
    exports: new Set(Object.keys(symbols)),
    list: "src/ffi/symbols.ts",
    needs: new Set(),
    embedded: embeddedLibraries,
  },
  {
    file: "tandem-node.node",
    bytesMax: 14 * 1024,
    // Each thread loads one of its own, which must not pile up.
    stays: false,
    exports: new Set(["napi_register_module_v1"]),
    list: "Node-API",
    // Of version 6 or older, which every supported Node has.
    needs: new Set([
      "napi_add_finalizer",
      "napi_close_handle_scope",
      "napi_coerce_to_bool",
      "napi_create_arraybuffer",
      "napi_create_bigint_uint64",
      "napi_create_double",
      "napi_create_external_arraybuffer",
      "napi_create_function",
      "napi_create_int32",
      "napi_create_uint32",
      "napi_get_buffer_info",
      "napi_get_cb_info",
      "napi_get_global",
      "napi_get_value_bigint_uint64",
      "napi_get_value_double",
      "napi_get_value_string_utf8",
      "napi_open_handle_scope",
      "napi_set_named_property",
      "napi_throw_error",
      "napi_throw_type_error",
    ]),
    embedded: embeddedAddons,
  },
];

// Functions that the compiler calls by itself. Every process has a libc with them.
const fromLibc = new Set(["memcpy", "memmove", "memset", "memcmp", "bcmp"]);

// ELF: section types, tags of the dynamic section, their flags, and bindings of symbols.
const shtSymtab = 2;
const shtDynamic = 6;
const shtDynsym = 11;
const dtNeeded = 1;
const dtFlags1 = 0x6ffffffb;
const df1NoDelete = 8;
const stbWeak = 2;
const machines = { x86_64: 62, aarch64: 183 } as const;

interface Section {
  type: number;
  offset: number;
  byteLength: number;
  link: number;
  entryBytes: number;
}

/** The parts of an ELF file that the checks need. */
class Elf {
  readonly machine: number;
  readonly sections: Section[] = [];
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.machine = this.#view.getUint16(18, true);
    const start = this.#number(40);
    const [entryBytes, count] = [58, 60].map((offset) => this.#view.getUint16(offset, true));
    for (let index = 0; index < count!; index++) {
      const header = start + index * entryBytes!;
      this.sections.push({
        type: this.#view.getUint32(header + 4, true),
        offset: this.#number(header + 24),
        byteLength: this.#number(header + 32),
        link: this.#view.getUint32(header + 40, true),
        entryBytes: this.#number(header + 56),
      });
    }
  }

  /** Tags and values of the dynamic section. */
  dynamic(): { tag: number; value: number }[] {
    return this.#entries(shtDynamic).map(({ offset }) => ({
      tag: this.#number(offset),
      value: this.#number(offset + 8),
    }));
  }

  /** The symbols that the loader sees. */
  symbols(): { name: string; isDefined: boolean; isWeak: boolean }[] {
    return this.#entries(shtDynsym).slice(1).map(({ offset, link }) => ({
      name: this.#string(this.sections[link]!.offset + this.#view.getUint32(offset, true)),
      isDefined: this.#view.getUint16(offset + 6, true) !== 0,
      isWeak: this.#view.getUint8(offset + 4) >> 4 === stbWeak,
    }));
  }

  #entries(type: number): { offset: number; link: number }[] {
    const section = this.sections.find((section) => section.type === type);
    if (!section) return [];
    const { offset, byteLength, entryBytes, link } = section;
    const count = byteLength / entryBytes;
    return Array.from({ length: count }, (_, index) => ({
      offset: offset + index * entryBytes,
      link,
    }));
  }

  #number(offset: number): number {
    return Number(this.#view.getBigUint64(offset, true));
  }

  #string(offset: number): string {
    return new TextDecoder().decode(this.#bytes.subarray(offset, this.#bytes.indexOf(0, offset)));
  }
}

function* problems(
  { bytesMax, stays, exports, list, needs, embedded }: Shipped,
  arch: keyof typeof machines,
  bytes: Uint8Array,
): Generator<string> {
  const elf = new Elf(bytes);
  if (elf.machine !== machines[arch]) yield `is for machine ${elf.machine}`;
  if (bytes.byteLength > bytesMax) yield `has ${bytes.byteLength} bytes, more than ${bytesMax}`;
  if (elf.sections.some(({ type }) => type === shtSymtab)) yield "is not stripped";
  if (embedded[arch] !== bytes.toBase64()) yield "is not what the package contains";

  const dynamic = elf.dynamic();
  if (dynamic.some(({ tag }) => tag === dtNeeded)) yield "needs another library";
  const flags = dynamic.find(({ tag }) => tag === dtFlags1)?.value ?? 0;
  if (((flags & df1NoDelete) !== 0) !== stays) {
    yield `is ${stays ? "not " : ""}linked with -z nodelete`;
  }

  const exported = new Set<string>();
  for (const { name, isDefined, isWeak } of elf.symbols()) {
    if (isDefined) exported.add(name);
    else if (!isWeak && !fromLibc.has(name) && !needs.has(name)) {
      yield `needs ${name}, which a process may lack`;
    }
  }
  for (const name of exported.difference(exports)) yield `exports ${name}, not in ${list}`;
  for (const name of exports.difference(exported)) yield `lacks ${name}, which is in ${list}`;
}

for (const library of shipped) {
  for (const arch of ["x86_64", "aarch64"] as const) {
    const path = `zig-out/lib/${arch}/${library.file}`;
    const bytes = readFileSync(new URL(`../${path}`, import.meta.url));
    console.log(`${path}: ${bytes.byteLength} bytes`);
    for (const problem of problems(library, arch, bytes)) {
      console.log(`${path} ${problem}`);
      process.exitCode = 1;
    }
  }
}
