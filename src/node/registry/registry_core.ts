/**
 * The registry of a node behind its public face.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import { remark, report, textOf } from "../../base/guard.ts";
import { Listeners } from "../../base/listeners.ts";
import type { Bytes } from "../../codec/writer.ts";
import { TandemError } from "../../errors.ts";
import { captureContext } from "../../runtime/context.ts";
import { later, queueMicrotask, wallClock } from "../../runtime/timers.ts";
import { addressOf } from "../ids.ts";
import type { RegistrySeam } from "./seam.ts";
import { Board, encodeBoard, placeOf, readBoard } from "./board.ts";
import type { Boards, ChangedBoard, WholeBoard } from "./boards.ts";
import { ClaimCore } from "./claim.ts";
import type { ClaimRight, ClaimRights } from "./claim_lock.ts";
import { Directory } from "./directory.ts";
import { encodeValue, type Entry, makeEntry } from "./entry.ts";
import { checkFamily, checkKey } from "./names.ts";
import { OwnEntries, type OwnEntry } from "./own_entries.ts";
import type { RegistryChange, RegistryEntry } from "./types.ts";
import { IteratedWatch, shownAs, type WatchHome, Watching } from "./watching.ts";

/** So many boards that are none are reported. */
const malformedReported = 10;

/** How long to wait at most before a board is published again that could not be, in milliseconds. */
const publishPauseMax = 1_000;

/** An entry that is gone already. */
const nothing: Disposable = { [Symbol.dispose]: () => {} };

export class RegistryCore implements WatchHome {
  readonly directory: Directory = new Directory((family, key) => this.#touched(family, key));
  /** Boards of other nodes that were none. */
  malformed = 0;

  readonly #seam: RegistrySeam;
  readonly #node: string;
  readonly #boards: Boards;
  readonly #rights: ClaimRights;
  readonly #own: OwnEntries;
  /** What is on the boards of others. */
  readonly #others: Map<string, Board> = new Map();
  readonly #watchings: Map<string, Set<Watching>> = new Map();
  readonly #iterated: Set<IteratedWatch> = new Set();
  /** Claims of this node whose keys others may have claimed since. */
  readonly #doubted: Set<ClaimCore> = new Set();
  readonly #nodeWatch: Disposable;
  /** Runs functions of the program outside of what happens to run now. */
  readonly #atHome: ReturnType<typeof captureContext> = captureContext();
  #listening: Disposable | null = null;
  #isScheduled = false;
  /** The places of own entries whose last change is not published yet. */
  readonly #stale: Set<string> = new Set();
  /** How often in a row it could not be published. */
  #failures = 0;
  #cancelRetry: (() => void) | null = null;
  #isClosed = false;

  constructor(seam: RegistrySeam, boards: Boards, rights: ClaimRights) {
    this.#seam = seam;
    this.#rights = rights;
    this.#node = seam.identity.id;
    this.#boards = boards;
    this.#own = new OwnEntries(boards.maxBytes);
    boards.beforeMessages(this.#publishRest);
    this.#nodeWatch = seam.onNode(() => this.#lookSoon());
  }

  /** @throws {TandemError} `CLOSED` */
  #checkOpen(tried: string): void {
    if (this.#isClosed) {
      throw new TandemError("CLOSED", `Cannot ${tried}: the node ${this.#node} was closed`);
    }
    this.#seam.checkOpen(tried);
  }

  // Own entries

  set(family: string, key: string, value: unknown): Disposable {
    checkFamily(family);
    checkKey(key);
    const encoded = encodeValue(value);
    this.#checkOpen(`add ${describe(key)} to the registry`);
    return this.#put(family, key, encoded, null);
  }

  register(family: string, port: string, value: unknown): Disposable {
    checkFamily(family);
    const address = addressOf(port);
    if (address.node !== this.#node || address.local === "") {
      throw new TypeError(
        `Cannot register ${
          describe(port)
        }: give a port of this node, or use set() with the id as the value`,
      );
    }
    const encoded = encodeValue(value);
    this.#checkOpen(`register ${port}`);
    return this.#put(family, port, encoded, port);
  }

  #put(family: string, key: string, value: Bytes, port: string | null): Disposable {
    const before = this.#own.get(family, key);
    if (before?.claim) {
      throw new TandemError(
        "EXISTS",
        `Cannot add ${
          describe(key)
        } to the family ${family}: this node has claimed it; release the claim first`,
      );
    }
    const since = before?.entry.since ?? this.#nextSince(family, key);
    const made = makeEntry(this.#node, { family, key, port, since, token: null, value });
    this.#own.checkRoom(made);
    const remove = () => {
      if (this.#own.get(family, key) === own) this.#remove(family, key);
    };
    const portWatch = port === null ? null : this.#seam.onPortEnd(port, remove);
    // The port has ended already, and so the entry has.
    if (port !== null && portWatch === null) return nothing;
    // The same value again is no change, and belongs to the new caller.
    const isSame = before?.entry.looksLike(made) === true;
    const entry = isSame ? before!.entry : made;
    const own: OwnEntry = { entry, portWatch, claim: null };
    this.#replace(before, own);
    return { [Symbol.dispose]: remove };
  }

  #replace(before: OwnEntry | undefined, own: OwnEntry): void {
    this.#own.put(own);
    if (before?.entry === own.entry) return;
    if (before) this.directory.remove(before.entry);
    this.directory.add(own.entry);
    this.#changed(own.entry);
  }

  #remove(family: string, key: string): void {
    const own = this.#own.get(family, key);
    if (!own) return;
    this.#own.remove(family, key);
    this.directory.remove(own.entry);
    this.#changed(own.entry);
  }

  /** Later than all entries of the key that this node knows of, whatever the clocks say. */
  #nextSince(family: string, key: string): number {
    this.look();
    const next = Math.max(wallClock(), this.directory.lastSince(family, key) + 1);
    return Math.min(next, Number.MAX_SAFE_INTEGER);
  }

  delete(family: string, keys: readonly string[]): void {
    checkFamily(family);
    keys.forEach(checkKey);
    this.#checkOpen("remove entries of the registry");
    for (const key of keys) {
      const claim = this.#own.get(family, key)?.claim;
      if (claim) claim.release("its entry was deleted");
      else this.#remove(family, key);
    }
  }

  /** Null: another node has claimed it, or this one has. */
  async claim(family: string, key: string, value: unknown): Promise<ClaimCore | null> {
    checkFamily(family);
    checkKey(key);
    const encoded = encodeValue(value);
    const tried = `claim ${describe(key)}`;
    this.#checkOpen(tried);
    const lock = await this.#rights.take(family, key);
    if (lock === null) return null;
    try {
      // It may have been closed meanwhile.
      this.#checkOpen(tried);
      return this.#claimed(family, key, encoded, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  #claimed(
    family: string,
    key: string,
    value: Bytes,
    lock: ClaimRight,
  ): ClaimCore {
    // A claim of this node whose lock was lost unnoticed.
    this.#own.get(family, key)?.claim?.check();
    const since = this.#nextSince(family, key);
    const { token } = lock;
    const entry = makeEntry(this.#node, { family, key, port: null, since, token, value });
    this.#own.checkRoom(entry);
    const claim: ClaimCore = new ClaimCore(family, key, lock, () => {
      if (this.#own.get(family, key)?.claim === claim) this.#remove(family, key);
    });
    this.#replace(this.#own.get(family, key), { entry, portWatch: null, claim });
    lock.hear?.((reason) => claim.lose(reason));
    return claim;
  }

  // Publishing and looking

  #changed({ family, key }: Entry): void {
    this.#stale.add(placeOf(family, key));
    this.#schedule();
  }

  /** Publishes and tells at the end of the microtasks. */
  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#isClosed) return;
      this.#publish();
      this.#lookSoon();
      this.#atHome(this.#tell, undefined);
    });
  }

  /** Who gets a message must find what this node has changed before. */
  readonly #publishRest = (): void => {
    // Without memory, the attempts have pauses.
    if (!this.#isClosed && this.#cancelRetry === null) this.#publish();
  };

  #publish(): void {
    if (this.#stale.size === 0) return;
    try {
      const entries = Array.from(this.#own.all(), ({ entry }) => entry);
      const change = new Map<string, Entry | null>();
      for (const place of this.#stale) change.set(place, this.#own.at(place)?.entry ?? null);
      this.#boards.publish(encodeBoard(this.#seam.identity, entries), change);
      this.#stale.clear();
      this.#failures = 0;
    } catch (error) {
      // The others see that the node is gone, and drop what its board says.
      if (this.#isClosed) return;
      if (this.#failures === 0) report(this, "publishing the registry's entries", error);
      this.#publishLater();
    }
  }

  /** There is no memory, for now. */
  #publishLater(): void {
    this.#failures += 1;
    if (this.#cancelRetry) return;
    const pause = Math.min(10 * 2 ** Math.min(this.#failures, 10), publishPauseMax);
    this.#cancelRetry = later(pause, () => {
      this.#cancelRetry = null;
      this.#publish();
    });
  }

  /** Reads what other nodes have changed. */
  look(): void {
    for (const change of this.#boards.changes()) {
      if ("bytes" in change) this.#lookAt(change);
      else this.#apply(change);
    }
    for (const claim of this.#doubted) {
      this.#doubted.delete(claim);
      const { family, key, token } = claim;
      if (this.directory.shown(family, key)?.token !== token) claim.check();
    }
  }

  #lookAt({ board, bytes }: WholeBoard): void {
    const before = this.#others.get(board) ?? null;
    const now = bytes === null ? null : this.#read(bytes, before);
    if (now) this.#others.set(board, now);
    else this.#others.delete(board);
    this.#follow(before, now);
  }

  #apply({ board, identity, entries, isWhole }: ChangedBoard): void {
    let known = this.#others.get(board);
    if (!known) this.#others.set(board, known = new Board(identity, new Map()));
    const replace = (place: string, entry: Entry | null) => {
      const before = known.entries.get(place);
      if (before === (entry ?? undefined)) return;
      if (before) this.directory.remove(before);
      if (entry) {
        known.entries.set(place, entry);
        this.directory.add(entry);
      } else known.entries.delete(place);
    };
    if (isWhole) {
      for (const place of [...known.entries.keys()]) if (!entries.has(place)) replace(place, null);
    }
    for (const [place, entry] of entries) replace(place, entry);
  }

  #read(bytes: Uint8Array, before: Board | null): Board | null {
    try {
      const board = readBoard(bytes, before);
      if (board.identity.id === this.#node) throw new Error("it has the id of this node");
      return board;
    } catch (error) {
      this.malformed += 1;
      if (this.malformed <= malformedReported) {
        remark(
          `the node ${this.#node} has read what another node says of itself, and ignores it: ${
            textOf(error)
          }`,
        );
      }
      return null;
    }
  }

  #follow(before: Board | null, now: Board | null): void {
    for (const [place, entry] of before?.entries ?? []) {
      if (now?.entries.get(place) !== entry) this.directory.remove(entry);
    }
    for (const [place, entry] of now?.entries ?? []) {
      if (before?.entries.get(place) !== entry) this.directory.add(entry);
    }
  }

  #touched(family: string, key: string): void {
    for (const watching of this.#watchings.get(family) ?? []) watching.touch(key);
    const claim = this.#own.get(family, key)?.claim;
    if (claim) this.#doubted.add(claim);
    if (this.#watchings.has(family)) this.#schedule();
  }

  #lookSoon(): void {
    if (this.#watchings.size === 0 || this.#isClosed) return;
    try {
      this.look();
    } catch (error) {
      report(this, "reading the registry", error);
    }
  }

  readonly #tell = (): void => {
    for (const watchings of [...this.#watchings.values()]) {
      for (const watching of [...watchings]) {
        if (watchings.has(watching)) watching.tell();
      }
    }
  };

  // Reading

  /** The entries of a family that show, now. */
  #entries(family: string, tried: string): Iterable<Entry> {
    checkFamily(family);
    this.#checkOpen(tried);
    this.look();
    return this.directory.allShown(family);
  }

  get(family: string): Map<string, RegistryEntry> {
    const entries = new Map<string, RegistryEntry>();
    for (const entry of this.#entries(family, "read the registry")) {
      entries.set(entry.key, shownAs(entry));
    }
    return entries;
  }

  keys(family: string): string[] {
    return Array.from(this.#entries(family, "read the registry"), ({ key }) => key);
  }

  values(family: string): unknown[] {
    return Array.from(this.#entries(family, "read the registry"), (entry) => entry.read());
  }

  pick(family: string): string | null {
    const ports: string[] = [];
    for (const { port } of this.#entries(family, "pick a port")) {
      if (port !== null) ports.push(port);
    }
    return ports[Math.floor(Math.random() * ports.length)] ?? null;
  }

  // Watches

  watch(family: string, callback: (change: RegistryChange) => unknown): Disposable {
    checkFamily(family);
    const listeners = new Listeners<RegistryChange>("registry.watch");
    listeners.add(callback);
    this.#checkOpen("watch the registry");
    const watching = new Watching(family, () => {
      const change = watching.take(this.directory);
      if (change) listeners.tell(change);
    });
    this.add(watching);
    const hold = this.hold();
    return {
      [Symbol.dispose]: () => {
        hold[Symbol.dispose]();
        this.remove(watching);
      },
    };
  }

  iterate(family: string): IteratedWatch {
    checkFamily(family);
    this.#checkOpen("watch the registry");
    const watch = new IteratedWatch(this, family, () => this.#iterated.delete(watch));
    this.#iterated.add(watch);
    return watch;
  }

  add(watching: Watching): void {
    this.look();
    const { family } = watching;
    // The first tale comes after another look.
    this.#listening ??= this.#boards.onChange(() => this.#lookSoon());
    const watchings = this.#watchings.get(family);
    if (watchings) watchings.add(watching);
    else this.#watchings.set(family, new Set([watching]));
    this.#schedule();
  }

  remove(watching: Watching): void {
    const { family } = watching;
    const watchings = this.#watchings.get(family);
    if (!watchings?.delete(watching) || watchings.size > 0) return;
    this.#watchings.delete(family);
    if (this.#watchings.size === 0) this.#rest();
  }

  #rest(): void {
    this.#listening?.[Symbol.dispose]();
    this.#listening = null;
  }

  hold(): Disposable {
    return this.#seam.hold();
  }

  /** Takes the entries back, and ends all watches. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#nodeWatch[Symbol.dispose]();
    const owns = [...this.#own.all()];
    for (const { entry: { family, key } } of owns) {
      this.#own.remove(family, key);
      this.#stale.add(placeOf(family, key));
    }
    this.#publish();
    this.#cancelRetry?.();
    for (const { claim } of owns) claim?.release("its node was closed");
    this.#rights.close();
    for (const watch of [...this.#iterated]) watch.close();
    this.#watchings.clear();
    this.#rest();
  }
}
