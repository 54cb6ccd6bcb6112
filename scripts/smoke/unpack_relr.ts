/**
 * Rewrites shared libraries for musl before 1.2.4, which Debian has: its loader does not know the compact form
 * of relocations (`DT_RELR`) and would leave these out. They are appended to the file in the usual form.
 *
 *     bun scripts/smoke/unpack_relr.ts FILE...
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

// ELF for 64 bits: types of program headers, and tags of the dynamic section.
const ptLoad = 1;
const ptDynamic = 2;
const ptNote = 4;
const dtNull = 0n;
const dtRela = 7n;
const dtRelaSize = 8n;
const dtDebug = 21n;
const dtRelrSize = 35n;
const dtRelr = 36n;
const dtRelrEntry = 37n;

const wordBytes = 8;
const relaBytes = 24;
const pageBytes = 65_536; // the largest of both architectures
const relative = { 62: 8n, 183: 1027n } as const; // R_X86_64_RELATIVE, R_AARCH64_RELATIVE

interface Segment {
  readonly type: number;
  /** Where its header lies in the file. */
  readonly header: number;
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

class Library {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #segments: readonly Segment[];
  /** Where the entries of the dynamic section lie in the file, by tag. */
  readonly #dynamic = new Map<bigint, number>();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [start, entryBytes, count] = [
      this.#number(32),
      this.#view.getUint16(54, true),
      this.#view.getUint16(56, true),
    ];
    this.#segments = Array.from({ length: count }, (_, index) => start + index * entryBytes)
      .map((header) => ({
        type: this.#view.getUint32(header, true),
        header,
        offset: this.#number(header + 8),
        address: this.#number(header + 16),
        fileBytes: this.#number(header + 32),
        memoryBytes: this.#number(header + 40),
      }));
    const { offset } = this.#segment(ptDynamic);
    for (let entry = offset; this.#word(entry) !== dtNull; entry += 2 * wordBytes) {
      this.#dynamic.set(this.#word(entry), entry);
    }
  }

  /** The library without compact relocations; null: it has none. */
  unpacked(): Uint8Array | null {
    if (!this.#dynamic.has(dtRelr)) return null;
    const table = this.#table();
    const offset = roundUp(this.#bytes.byteLength);
    const ends = this.#loaded().map(({ address, memoryBytes }) => address + memoryBytes);
    const address = roundUp(Math.max(...ends));
    this.#load(this.#segment(ptNote).header, offset, address, table.byteLength);
    this.#setValue(dtRela, address);
    this.#setValue(dtRelaSize, table.byteLength);
    // The loader skips this tag, which is for debuggers.
    for (const tag of [dtRelr, dtRelrSize, dtRelrEntry]) {
      this.#view.setBigUint64(this.#dynamic.get(tag)!, dtDebug, true);
    }
    const result = new Uint8Array(offset + table.byteLength);
    result.set(this.#bytes);
    result.set(table, offset);
    return result;
  }

  /** All relocations in the usual form, those that were compact first. */
  #table(): Uint8Array {
    const places = this.#places();
    const usual = this.#inFile(this.#value(dtRela));
    const rest = this.#bytes.subarray(usual, usual + this.#value(dtRelaSize));
    const table = new Uint8Array(places.length * relaBytes + rest.byteLength);
    const view = new DataView(table.buffer);
    const type = relative[this.#view.getUint16(18, true) as keyof typeof relative];
    places.forEach((place, index) => {
      const at = index * relaBytes;
      view.setBigUint64(at, place, true);
      view.setBigUint64(at + wordBytes, type, true);
      view.setBigUint64(at + 2 * wordBytes, this.#word(this.#inFile(Number(place))), true);
    });
    table.set(rest, places.length * relaBytes);
    return table;
  }

  /** The addresses that compact relocations stand for: each to which the library's own address is added. */
  #places(): bigint[] {
    const places: bigint[] = [];
    const start = this.#inFile(this.#value(dtRelr));
    let next = 0n;
    for (let at = start; at < start + this.#value(dtRelrSize); at += wordBytes) {
      const word = this.#word(at);
      if ((word & 1n) === 0n) {
        places.push(word);
        next = word + 8n;
        continue;
      }
      // A bit for each of the next 63 words.
      for (let bit = 0n; bit < 63n; bit++) {
        if ((word >> (bit + 1n) & 1n) === 1n) places.push(next + 8n * bit);
      }
      next += 8n * 63n;
    }
    return places;
  }

  /** Makes a program header one of a part of the file that is mapped for reading. */
  #load(header: number, offset: number, address: number, byteLength: number): void {
    const readable = 4;
    this.#view.setUint32(header, ptLoad, true);
    this.#view.setUint32(header + 4, readable, true);
    [offset, address, address, byteLength, byteLength, pageBytes].forEach((value, index) =>
      this.#view.setBigUint64(header + wordBytes * (index + 1), BigInt(value), true)
    );
  }

  #segment(type: number): Segment {
    const segment = this.#segments.find((segment) => segment.type === type);
    if (!segment) throw new Error(`there is no segment of type ${type}`);
    return segment;
  }

  #loaded(): Segment[] {
    return this.#segments.filter(({ type }) => type === ptLoad);
  }

  #inFile(address: number): number {
    const segment = this.#loaded().find((segment) =>
      address >= segment.address && address < segment.address + segment.fileBytes
    );
    if (!segment) throw new Error(`address ${address} is not in the file`);
    return address - segment.address + segment.offset;
  }

  #value(tag: bigint): number {
    return this.#number(this.#dynamic.get(tag)! + wordBytes);
  }

  #setValue(tag: bigint, value: number): void {
    this.#view.setBigUint64(this.#dynamic.get(tag)! + wordBytes, BigInt(value), true);
  }

  #word(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }

  #number(offset: number): number {
    return Number(this.#word(offset));
  }
}

function roundUp(value: number): number {
  return Math.ceil(value / pageBytes) * pageBytes;
}

for (const path of process.argv.slice(2)) {
  const unpacked = new Library(readFileSync(path)).unpacked();
  if (unpacked !== null) writeFileSync(path, unpacked);
}
