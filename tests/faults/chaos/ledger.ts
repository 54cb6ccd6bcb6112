/**
 * The ledger of one player: a file that it maps, so that its records survive its death.
 * Calls and deliveries are records of a fixed size, in the order in which they began. A player writes
 * an intent before it acts, and the outcome afterwards.
 *
 * @module
 */
import { mapFile } from "./mapping.ts";

/** The number of records in a ledger. A player whose ledger is full leaves. */
export const recordsMax = 200_000;

/** 32-bit words of the header, which conductor and player share while the player lives. */
export const Head = {
  phase: 0,
  /** 1: the conductor wants the player to end. */
  finish: 1,
  /** Records begun. */
  begun: 2,
  /** Of a client: records that have an outcome. */
  ended: 3,
  /** Incremented whenever the player is not waiting; the other words show what it is doing. */
  beats: 4,
  /** Of a client: when its oldest open call began. 0: none is open. */
  oldestStart: 5,
  /** Of a client: the number of that call. */
  oldest: 6,
  /** Of a client: calls that may be open at once. */
  outstandingMax: 7,
  /** Of a server: requests that it may have taken and not yet written down. */
  taking: 8,
  /** Handles closed with something in flight. */
  closes: 9,
  /** `clear`s begun, each with three words in the log of clears. */
  clears: 10,
  /** Bytes of the note. */
  noteLength: 11,
} as const;

export const Phase = { starting: 0, running: 1, finished: 2, failed: 3 } as const;

const headWords = 64;
const noteOffset = 4 * headWords;
const clearsOffset = 4096;
/** Of the log of clears: begin, end, calls ended. */
export const clearWords = 3;
const clearsMax = 1024;
/** Of the part before the records. */
export const headBytes: number = clearsOffset + 4 * clearWords * clearsMax;

export const recordWords = 12;
const recordBytes = 4 * recordWords;
export const ledgerBytes: number = headBytes + recordBytes * recordsMax;

/** Words of a client's record; its position is the number of the call. */
export const ClientField = {
  state: 0,
  form: 1,
  maxDeliveries: 2,
  length: 3,
  start: 4,
  flags: 5,
  outcome: 6,
  end: 7,
  /** Of the call's id; slot plus one, 0: not known. */
  generation: 8,
  slot: 9,
  /** Of the answer. */
  server: 10,
  delivery: 11,
} as const;

/** Words of a server's record, one record for each delivery. */
export const ServerField = {
  state: 0,
  /** 0: the request is too short to name its call. */
  client: 1,
  number: 2,
  delivery: 3,
  generation: 4,
  slot: 5,
  flags: 6,
  length: 7,
  /** Of the content, if the request is too short to be judged at once. */
  hash: 8,
  outcome: 9,
  start: 10,
  end: 11,
} as const;

export const State = { none: 0, begun: 1, ended: 2 } as const;

/** A client's plans when it began a call. */
export const ClientFlag = {
  posts: 1,
  hasTimeout: 2,
  cancels: 4,
  aborts: 8,
  /** Its array for the answer may be too short. */
  smallInto: 16,
} as const;

export const ServerFlag = {
  oneWay: 1,
  /** The request's bytes were not as its client sent them. */
  wrongBytes: 2,
  /** The handle was closed before the bytes could be looked at. */
  unreadable: 4,
} as const;

/** How a call ended for its client. */
export const Outcome = {
  none: 0,
  answered: 1,
  answeredEmpty: 2,
  remote: 3,
  timeout: 4,
  busy: 5,
  serverDied: 6,
  cancelled: 7,
  closed: 8,
  aborted: 9,
  released: 10,
  tooLong: 11,
  posted: 12,
  discarded: 13,
  /** A wrong answer. */
  wrong: 14,
  /** An unexpected error. */
  unexpected: 15,
} as const;

/** How a delivery ended for its server. */
export const DeliveryOutcome = {
  none: 0,
  /** Written before the reply: a server that dies after this may have answered. */
  replying: 1,
  replied: 2,
  /** `reply` returned false. */
  repliedInVain: 3,
  failing: 4,
  failed: 5,
  failedInVain: 6,
  /** The handler returned or threw, and `serve` does the rest. */
  returned: 7,
  thrown: 8,
  /** Its handle was closed while the server held it. */
  closed: 9,
  /** An unexpected error. */
  unexpected: 10,
} as const;

/** The name of a code. */
export function nameOf(codes: Readonly<Record<string, number>>, code: number): string {
  return Object.keys(codes).find((name) => codes[name] === code) ?? `code ${code}`;
}

/** The part before the records. */
export class LedgerHead {
  readonly words: Uint32Array;
  readonly #buffer: ArrayBuffer;

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer;
    this.words = new Uint32Array(buffer, 0, headWords);
  }

  static open(path: string): LedgerHead {
    return new LedgerHead(mapFile(path, headBytes));
  }

  get(field: number): number {
    return this.words[field]!;
  }

  set(field: number, value: number): void {
    this.words[field] = value;
  }

  add(field: number, amount: number = 1): void {
    this.words[field] = this.words[field]! + amount;
  }

  /** The player's message about an unexpected event. */
  get note(): string {
    const bytes = new Uint8Array(this.#buffer, noteOffset, this.get(Head.noteLength));
    return new TextDecoder().decode(bytes.slice());
  }

  /** Keeps only the first note: the others follow from it. */
  set note(text: string) {
    if (this.get(Head.noteLength) > 0) return;
    const bytes = new TextEncoder().encode(text).subarray(0, clearsOffset - noteOffset);
    new Uint8Array(this.#buffer, noteOffset).set(bytes);
    this.set(Head.noteLength, bytes.length);
  }

  /** The log of clears; without an end, the end is 0. */
  get clears(): Uint32Array {
    const count = Math.min(this.get(Head.clears), clearsMax);
    return new Uint32Array(this.#buffer, clearsOffset, clearWords * count);
  }

  beginClear(now: number): void {
    this.add(Head.clears);
    this.clears[this.clears.length - clearWords] = now;
  }

  endClear(now: number, ended: number): void {
    const { clears } = this;
    clears[clears.length - 1] = ended;
    clears[clears.length - 2] = now;
  }
}

/** A ledger that is written, or read when its player is gone. */
export class Ledger {
  readonly head: LedgerHead;
  readonly records: Uint32Array;

  constructor(buffer: ArrayBuffer) {
    this.head = new LedgerHead(buffer);
    this.records = new Uint32Array(buffer, headBytes);
  }

  static open(path: string): Ledger {
    return new Ledger(mapFile(path, ledgerBytes));
  }

  get isFull(): boolean {
    // Open calls may still need records.
    return this.head.get(Head.begun) >= recordsMax - 1_000;
  }

  /** Begins a record and returns its index. */
  begin(): number {
    const record = this.head.get(Head.begun);
    this.head.set(Head.begun, record + 1);
    return record;
  }

  get(record: number, field: number): number {
    return this.records[record * recordWords + field]!;
  }

  set(record: number, field: number, value: number): void {
    this.records[record * recordWords + field] = value;
  }
}
