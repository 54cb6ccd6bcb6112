/**
 * What the contenders of a limit share, and how it changes. All of it is one value, which is replaced as a whole:
 * so each change happens at one moment, or not at all.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { participantsMax } from "../../ffi/layout.ts";
import type { LimitOrder, LockInfo, LockMode } from "../../limit/types.ts";

/** One that holds a place or waits for one. */
export interface Entry {
  /** No two attempts have the same. */
  readonly id: string;
  /** 0: it waits. */
  readonly place: number;
  /** In decimal digits; "0" while it waits. */
  readonly token: string;
  readonly mode: LockMode;
  /** It has taken the places of others by force. */
  readonly isUrgent: boolean;
  /** The smallest is served first. */
  readonly ticket: number;
  /** How many may wait before it, or it retires. Null: any number. */
  readonly standby: number | null;
  readonly since: number;
  readonly pid: number;
  readonly runtime: LockInfo["runtime"];
}

export interface State {
  readonly version: 1;
  readonly max: number;
  readonly order: LimitOrder;
  /** The last token, in decimal digits. */
  readonly token: string;
  /** How many attempts there have been. */
  readonly attempts: number;
  readonly entries: readonly Entry[];
}

/** What an attempt asks for. */
export interface Wish {
  readonly id: string;
  readonly mode: LockMode;
  readonly isUrgent: boolean;
  /** It does not wait. */
  readonly isOnce: boolean;
  /** Null: all may wait. */
  readonly standby: number | null;
  /** Null: the limit's. */
  readonly max: number | null;
  readonly order: LimitOrder | null;
  readonly pid: number;
  readonly runtime: LockInfo["runtime"];
}

/** In the order "newest", tickets count downwards from here. */
const ticketMax = 2 ** 48;

/**
 * The first state of a limit. Its tokens start at the clock, in microseconds: so they are greater than those of
 * a limit that was removed.
 */
export function newState(
  wish: { max: number | null; order: LimitOrder | null },
  time: number,
): State {
  return {
    version: 1,
    max: wish.max ?? 1,
    order: wish.order ?? "oldest",
    token: String(BigInt(Math.floor(time)) * 1000n),
    attempts: 0,
    entries: [],
  };
}

/** @throws {TandemError} `CORRUPT`, `INCOMPATIBLE` */
export function readState(data: Uint8Array, name: string): State {
  let state: Partial<State> | null;
  try {
    state = JSON.parse(new TextDecoder().decode(data)) as Partial<State> | null;
  } catch (error) {
    throw corrupt(name, error);
  }
  if (typeof state?.version !== "number") throw corrupt(name);
  if (state.version !== 1) {
    throw new TandemError(
      "INCOMPATIBLE",
      `Cannot read the limit ${name}: it has version ${state.version}, and this package reads version 1`,
    );
  }
  const isRight = isMax(state.max) && Number.isInteger(state.attempts) &&
    (state.order === "oldest" || state.order === "newest") &&
    isToken(state.token) && Array.isArray(state.entries) &&
    state.entries.every(isEntry);
  if (!isRight) throw corrupt(name);
  return state as State;
}

function isEntry(value: unknown): boolean {
  const { id, place, token, mode, ticket } = Object(value) as Partial<Entry>;
  return typeof id === "string" && Number.isInteger(place) && place! >= 0 && isToken(token) &&
    (mode === "exclusive" || mode === "shared") && Number.isInteger(ticket);
}

function isMax(max: unknown): boolean {
  return Number.isInteger(max) && Number(max) >= 1 && Number(max) <= participantsMax;
}

/** Tokens fit into 64 bits, also after many more were given. */
function isToken(token: unknown): boolean {
  return typeof token === "string" && /^\d{1,19}$/.test(token) && BigInt(token) < 2n ** 63n;
}

function corrupt(name: string, cause?: unknown): TandemError {
  return new TandemError(
    "CORRUPT",
    `Cannot read the limit ${name}: its value in NATS is damaged; end its users, and remove the key`,
    { cause },
  );
}

/** All that wait, in the order in which they are served. */
export function waitersOf({ entries }: State): Entry[] {
  return entries.filter(({ place }) => place === 0).sort(byTurn);
}

/** All that hold a place, in the order of their tickets. */
export function holdersOf({ entries }: State): Entry[] {
  return entries.filter(({ place }) => place > 0).sort((a, b) => a.ticket - b.ticket);
}

function byTurn(a: Entry, b: Entry): number {
  return Number(b.isUrgent) - Number(a.isUrgent) || a.ticket - b.ticket;
}

export function entryOf(state: State | null, id: string): Entry | null {
  return state?.entries.find((entry) => entry.id === id) ?? null;
}

/** What becomes of an attempt that asks. */
export type Entered =
  /** It holds a place, or waits. */
  | { readonly state: State; readonly refusal: null }
  /** Nothing changes. */
  | { readonly state: null; readonly refusal: "timeout" | "standby-full" };

/**
 * An attempt asks for a place.
 *
 * @param time milliseconds since the epoch
 * @throws {TandemError} `MISMATCH`, `BUSY`
 */
export function enter(found: State | null, wish: Wish, name: string, time: number): Entered {
  const state = withTerms(found ?? newState(wish, time), wish, name);
  if (state.entries.length >= participantsMax) {
    throw new TandemError(
      "BUSY",
      `Cannot acquire a lock of ${name}: ${participantsMax} hold or wait already`,
    );
  }
  const attempts = state.attempts + 1;
  const others = wish.isUrgent ? state.entries.filter(({ place }) => place === 0) : state.entries;
  const entry: Entry = {
    id: wish.id,
    place: 0,
    token: "0",
    mode: wish.mode,
    isUrgent: wish.isUrgent,
    ticket: state.order === "newest" ? ticketMax - attempts : attempts,
    standby: wish.standby ?? (state.order === "newest" ? 1 : null),
    since: time,
    pid: wish.pid,
    runtime: wish.runtime,
  };
  const next = settled({ ...state, attempts, entries: [...others, entry] }, time);
  const own = entryOf(next, wish.id);
  if (own?.place) return { state: next, refusal: null };
  if (wish.isOnce) return { state: null, refusal: "timeout" };
  return own ? { state: next, refusal: null } : { state: null, refusal: "standby-full" };
}

/** @throws {TandemError} `MISMATCH` */
function withTerms(state: State, { max, order }: Wish, name: string): State {
  const next = { ...state, max: max ?? state.max, order: order ?? state.order };
  if (state.entries.length === 0) return next;
  const differences: [string, unknown, unknown][] = [["max", state.max, next.max], [
    "order",
    state.order,
    next.order,
  ]];
  for (const [term, found, wanted] of differences) {
    if (found === wanted) continue;
    throw new TandemError(
      "MISMATCH",
      `Cannot acquire a lock of ${name}: its ${term} is ${
        JSON.stringify(found)
      }, but the option asks for ` +
        `${
          JSON.stringify(wanted)
        }, and others hold or wait; leave the option out, give the same in all programs, ` +
        "or wait until nobody uses the limit",
    );
  }
  return state;
}

/** Those leave. Null: they are gone already. */
export function leave(state: State | null, ids: ReadonlySet<string>, time: number): State | null {
  if (!state?.entries.some(({ id }) => ids.has(id))) return null;
  return settled({ ...state, entries: state.entries.filter(({ id }) => !ids.has(id)) }, time);
}

/** As many may hold from now on. Null: nothing changes. */
export function resize(found: State | null, max: number, time: number): State | null {
  const state = found ?? newState({ max: null, order: null }, time);
  return state.max === max && found ? null : settled({ ...state, max }, time);
}

/** Gives free places to those that are next, and lets those retire that have too many before them. */
function settled(state: State, time: number): State {
  let token = BigInt(state.token);
  const entries = [...state.entries];
  for (const waiter of waitersOf(state)) {
    const place = placeFor(waiter, entries, state.max);
    if (place === null) break;
    token += 1n;
    entries[entries.indexOf(waiter)] = { ...waiter, place, token: String(token), since: time };
  }
  const next = { ...state, token: String(token), entries };
  const retired = new Set<Entry>();
  for (const [ahead, waiter] of waitersOf(next).entries()) {
    if (waiter.standby !== null && ahead >= waiter.standby) retired.add(waiter);
  }
  return retired.size === 0
    ? next
    : { ...next, entries: entries.filter((entry) => !retired.has(entry)) };
}

/** All sharers hold one place together. Otherwise the lowest free place is given, if fewer than max are taken. */
function placeFor(waiter: Entry, entries: readonly Entry[], max: number): number | null {
  const holders = entries.filter(({ place }) => place > 0);
  const shared = waiter.mode === "shared" && holders.find(({ mode }) => mode === "shared");
  if (shared) return shared.place;
  const taken = new Set(holders.map(({ place }) => place));
  if (taken.size >= max) return null;
  let place = 1;
  while (taken.has(place)) place += 1;
  return place;
}

/** What a program is told of a contender. */
export function infoOf({ place, token, pid, runtime, since, mode, ticket }: Entry): LockInfo {
  return { id: place, token: BigInt(token), pid, runtime, title: "", since, mode, ticket };
}
