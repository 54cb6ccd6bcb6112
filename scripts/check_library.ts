/**
 * Checks that the built libraries export the functions in `src/ffi/symbols.ts`, need nothing that a process
 * may lack, stay loaded, and are small. Prints the problems.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import { symbols } from "../src/ffi/symbols.ts";

const bytesMax = 120 * 1024;
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

function* problems(arch: keyof typeof machines, bytes: Uint8Array): Generator<string> {
  const elf = new Elf(bytes);
  if (elf.machine !== machines[arch]) yield `is for machine ${elf.machine}`;
  if (bytes.byteLength > bytesMax) yield `has ${bytes.byteLength} bytes, more than ${bytesMax}`;
  if (elf.sections.some(({ type }) => type === shtSymtab)) yield "is not stripped";

  const dynamic = elf.dynamic();
  if (dynamic.some(({ tag }) => tag === dtNeeded)) yield "needs another library";
  const flags = dynamic.find(({ tag }) => tag === dtFlags1)?.value ?? 0;
  if (!(flags & df1NoDelete)) yield "is not linked with -z nodelete";

  const exported = new Set<string>();
  for (const { name, isDefined, isWeak } of elf.symbols()) {
    if (isDefined) exported.add(name);
    else if (!isWeak && !fromLibc.has(name)) yield `needs ${name}, which a process may lack`;
  }
  const listed = new Set(Object.keys(symbols));
  for (const name of exported.difference(listed)) yield `exports ${name}, not in symbols.ts`;
  for (const name of listed.difference(exported)) yield `lacks ${name}, which is in symbols.ts`;
}

for (const arch of ["x86_64", "aarch64"] as const) {
  const path = `zig-out/lib/${arch}/libtandem.so`;
  const bytes = readFileSync(new URL(`../${path}`, import.meta.url));
  console.log(`${path}: ${bytes.byteLength} bytes`);
  for (const problem of problems(arch, bytes)) {
    console.log(`${path} ${problem}`);
    process.exitCode = 1;
  }
}
