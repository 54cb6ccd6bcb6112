/**
 * What nodes tell each other through NATS. Each message is a head of {@linkcode headBytes} bytes and a body. Numbers
 * are little-endian.
 *
 * ```
 * ff 54 KIND 01   sender's session (8 characters)   receiver's session, or 8 bytes 0   life u32   life u32
 * ```
 *
 * A *session* is random for each start of a node. A *life* is the number that one node has for what it sees of the
 * other from its coming up to its going down: first the sender's of the receiver, then the receiver's of the
 * sender, 0 if unknown. Lives of one session grow, so who hears a greater one knows that the other has taken it
 * for dead meanwhile.
 *
 * @module
 */
import type { NodeInfo } from "../../node/carrier.ts";
import { decodeGreeting, encodeGreeting } from "../../node/hall/greeting.ts";
import { checkNodeId } from "../../node/ids.ts";
import { boardEntriesMax } from "../../node/registry/bounds.ts";

export const Kind = {
  /** To all, or to a neighbour that tells the others: the sender lives. Body: the number of its board, its id. */
  alive: 0x41,
  /** To all or one: who is there? Body: the sender's id. */
  ask: 0x42,
  /** Who the sender is. Body: the number of its board, its greeting. */
  here: 0x43,
  /** The id is in use. */
  taken: 0x44,
  /** The lives of the two. */
  pair: 0x45,
  /** A batch of the stream to the receiver. */
  batch: 0x46,
  /** The receiver's stream is broken. Body: its number. */
  broken: 0x49,
  /** A part of the sender's board. Body: see {@linkcode BoardPart}. */
  board: 0x47,
  /** To all: what has changed on the sender's board. Body: see {@linkcode BoardChange}. */
  change: 0x4b,
  /** To all: the sender has left; nothing follows. */
  bye: 0x48,
  /** To all: these nodes of one machine live, the sender first. Body: see {@linkcode encodeMachine}. */
  machine: 0x4a,
} as const;

export const headBytes = 28;
const sessionBytes = 8;

/** The head of a message, and what follows it. */
export interface Frame {
  readonly kind: number;
  readonly from: string;
  /** Empty: it is for all. */
  readonly to: string;
  readonly fromLife: number;
  readonly toLife: number;
  readonly body: Uint8Array;
}

/** One of the messages in which a board travels. */
export interface BoardPart {
  /** Of the board; it grows by one with each that its node publishes. */
  readonly version: number;
  readonly index: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** What has changed on a board since the one before. */
export interface BoardChange {
  /** Of the board with the change. */
  readonly version: number;
  /** The places of entries that are gone. */
  readonly removed: readonly string[];
  /** Entries that are new, or replace others. */
  readonly added: readonly Uint8Array[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
const sessionForm = /^[a-z0-9]{8}$/;
const noBytes = new Uint8Array(0);

export function encodeFrame(
  { kind, from, to, fromLife = 0, toLife = 0, body = noBytes }:
    & Pick<Frame, "kind" | "from" | "to">
    & Partial<Frame>,
): Uint8Array {
  const bytes = new Uint8Array(headBytes + body.byteLength);
  bytes.set([0xff, 0x54, kind, 1]);
  encoder.encodeInto(from, bytes.subarray(4, 4 + sessionBytes));
  encoder.encodeInto(to, bytes.subarray(12, 12 + sessionBytes));
  const view = new DataView(bytes.buffer);
  view.setUint32(20, fromLife, true);
  view.setUint32(24, toLife, true);
  bytes.set(body, headBytes);
  return bytes;
}

/** Null: it is none. */
export function decodeFrame(bytes: Uint8Array): Frame | null {
  if (bytes.byteLength < headBytes) return null;
  if (bytes[0] !== 0xff || bytes[1] !== 0x54 || bytes[3] !== 1) return null;
  const from = sessionAt(bytes, 4);
  const isForAll = bytes.subarray(12, 12 + sessionBytes).every((byte) => byte === 0);
  const to = isForAll ? "" : sessionAt(bytes, 12);
  if (!sessionForm.test(from) || !(isForAll || sessionForm.test(to))) return null;
  const view = viewOf(bytes);
  return {
    kind: bytes[2]!,
    from,
    to,
    fromLife: view.getUint32(20, true),
    toLife: view.getUint32(24, true),
    body: bytes.subarray(headBytes),
  };
}

function sessionAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + sessionBytes));
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function withNumber(number: number, text: Uint8Array): Uint8Array {
  const body = new Uint8Array(4 + text.byteLength);
  viewOf(body).setUint32(0, number, true);
  body.set(text, 4);
  return body;
}

/** A node lives. */
export interface Alive {
  readonly session: string;
  readonly id: string;
  /** Of its board. */
  readonly version: number;
}

/** The body of `alive`. */
export function encodeAlive(id: string, version: number): Uint8Array {
  return withNumber(version, encoder.encode(id));
}

/** Null: it is none. */
export function decodeAlive(body: Uint8Array): { id: string; version: number } | null {
  const id = body.byteLength < 4 ? null : decodeId(body.subarray(4));
  return id === null ? null : { id, version: viewOf(body).getUint32(0, true) };
}

/** Before its id: the session, the number of the board, the length of the id. */
const aliveHeadBytes = sessionBytes + 4 + 1;

/**
 * The bodies of `machine` that tell of these nodes, each of at most so many bytes. A body has one entry after the other:
 *
 * ```
 * session (8 characters)   number of its board u32   length of its id u8   its id
 * ```
 */
export function encodeMachine(alive: readonly Alive[], maxBytes: number): Uint8Array[] {
  const bodies: number[][] = [[]];
  for (const { session, id, version } of alive) {
    const entry = new Uint8Array(aliveHeadBytes + id.length);
    encoder.encodeInto(session, entry);
    viewOf(entry).setUint32(sessionBytes, version, true);
    entry[aliveHeadBytes - 1] = id.length;
    encoder.encodeInto(id, entry.subarray(aliveHeadBytes));
    if (bodies.at(-1)!.length + entry.byteLength > maxBytes) bodies.push([]);
    bodies.at(-1)!.push(...entry);
  }
  return bodies.map((body) => new Uint8Array(body));
}

/** Null: it is none. */
export function decodeMachine(body: Uint8Array): Alive[] | null {
  const alive: Alive[] = [];
  for (let at = 0; at < body.byteLength;) {
    const begin = at + aliveHeadBytes;
    if (begin > body.byteLength) return null;
    const session = sessionAt(body, at);
    const version = viewOf(body).getUint32(at + sessionBytes, true);
    at = begin + body[begin - 1]!;
    const id = at > body.byteLength ? null : decodeId(body.subarray(begin, at));
    if (id === null || !sessionForm.test(session)) return null;
    alive.push({ session, id, version });
  }
  return alive;
}

/** The body of `ask`. */
export function encodeId(id: string): Uint8Array {
  return encoder.encode(id);
}

/** Null: it is none. */
export function decodeId(body: Uint8Array): string | null {
  try {
    const id = decoder.decode(body);
    checkNodeId(id);
    return id;
  } catch {
    return null;
  }
}

/** The body of `here`. */
export function encodeHere(info: NodeInfo, version: number): Uint8Array {
  return withNumber(version, encodeGreeting(info));
}

/** Null: it is none. */
export function decodeHere(body: Uint8Array): { info: NodeInfo; version: number } | null {
  const info = body.byteLength < 5 ? null : decodeGreeting(body.subarray(4));
  return info === null ? null : { info, version: viewOf(body).getUint32(0, true) };
}

/** The body of `broken`. */
export function encodeBroken(link: number): Uint8Array {
  return withNumber(link, noBytes);
}

/** Null: it is none. */
export function decodeBroken(body: Uint8Array): number | null {
  return body.byteLength === 4 ? viewOf(body).getUint32(0, true) : null;
}

const partHeadBytes = 8;

/** The body of `board`. */
export function encodeBoardPart({ version, index, count, bytes }: BoardPart): Uint8Array {
  const body = new Uint8Array(partHeadBytes + bytes.byteLength);
  const view = viewOf(body);
  view.setUint32(0, version, true);
  view.setUint16(4, index, true);
  view.setUint16(6, count, true);
  body.set(bytes, partHeadBytes);
  return body;
}

/** Null: it is none. */
export function decodeBoardPart(body: Uint8Array): BoardPart | null {
  if (body.byteLength < partHeadBytes) return null;
  const view = viewOf(body);
  return {
    version: view.getUint32(0, true),
    index: view.getUint16(4, true),
    count: view.getUint16(6, true),
    bytes: body.subarray(partHeadBytes),
  };
}

/**
 * The body of `change`:
 *
 * ```
 * version u32   how many are gone u32   then of each of those, and of each new one, its length u32, and its bytes
 * ```
 */
export function encodeBoardChange({ version, removed, added }: BoardChange): Uint8Array {
  const items = [...removed.map((place) => encoder.encode(place)), ...added];
  const length = items.reduce((sum, { byteLength }) => sum + 4 + byteLength, 8);
  const body = new Uint8Array(length);
  const view = viewOf(body);
  view.setUint32(0, version, true);
  view.setUint32(4, removed.length, true);
  let at = 8;
  for (const item of items) {
    view.setUint32(at, item.byteLength, true);
    body.set(item, at + 4);
    at += 4 + item.byteLength;
  }
  return body;
}

/** The most entries that one change adds and removes: all of two boards. */
const changedMax = 2 * boardEntriesMax;

/** Null: it is none. */
export function decodeBoardChange(body: Uint8Array): BoardChange | null {
  const { byteLength } = body;
  if (byteLength < 8) return null;
  const view = viewOf(body);
  const items: Uint8Array[] = [];
  for (let at = 8; at < byteLength;) {
    if (at + 4 > byteLength) return null;
    const begin = at + 4;
    at = begin + view.getUint32(at, true);
    if (at > byteLength) return null;
    items.push(body.subarray(begin, at));
    if (items.length > changedMax) return null;
  }
  const count = view.getUint32(4, true);
  if (count > items.length) return null;
  try {
    const removed = items.slice(0, count).map((item) => decoder.decode(item));
    return { version: view.getUint32(0, true), removed, added: items.slice(count) };
  } catch {
    return null;
  }
}
