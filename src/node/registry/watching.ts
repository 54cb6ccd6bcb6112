/**
 * What one watch of a family has told, and what it has to tell.
 *
 * @module
 */
import { queueMicrotask } from "../../runtime/timers.ts";
import type { Directory } from "./directory.ts";
import type { Entry } from "./entry.ts";
import type { RegistryChange, RegistryEntry, RegistryWatch } from "./types.ts";

/** An entry as programs see it. */
export function shownAs(entry: Entry): RegistryEntry {
  return { value: entry.read(), node: entry.node, port: entry.port };
}

interface Told {
  readonly entry: Entry;
  readonly shown: RegistryEntry;
}

export class Watching {
  readonly family: string;
  readonly #tell: (watching: Watching) => void;
  /** Keys that may have changed since they were told. */
  readonly #touched: Set<string> = new Set();
  #told: Map<string, Told> = new Map();
  #isFirst = true;

  /** @param tell takes the change, or leaves it for later */
  constructor(family: string, tell: (watching: Watching) => void) {
    this.family = family;
    this.#tell = tell;
  }

  touch(key: string): void {
    if (!this.#isFirst) this.#touched.add(key);
  }

  get mayTell(): boolean {
    return this.#isFirst || this.#touched.size > 0;
  }

  tell(): void {
    if (this.mayTell) this.#tell(this);
  }

  /** What has changed since the last time. Null: nothing. */
  take(directory: Directory): RegistryChange | null {
    if (this.#isFirst) return this.#takeFirst(directory);
    const [added, changed, deleted]: [string[], string[], string[]] = [[], [], []];
    for (const key of this.#touched) {
      const before = this.#told.get(key);
      const entry = directory.shown(this.family, key);
      if (entry === undefined) {
        if (this.#told.delete(key)) deleted.push(key);
      } else if (before?.entry.looksLike(entry) !== true) {
        this.#told.set(key, { entry, shown: shownAs(entry) });
        (before ? changed : added).push(key);
      }
    }
    this.#touched.clear();
    const isSame = added.length + changed.length + deleted.length === 0;
    return isSame ? null : { entries: this.#entries, added, changed, deleted };
  }

  #takeFirst(directory: Directory): RegistryChange {
    this.#isFirst = false;
    for (const entry of directory.allShown(this.family)) {
      this.#told.set(entry.key, { entry, shown: shownAs(entry) });
    }
    return { entries: this.#entries, added: [...this.#told.keys()], changed: [], deleted: [] };
  }

  get #entries(): Map<string, RegistryEntry> {
    const entries = new Map<string, RegistryEntry>();
    for (const [key, { shown }] of this.#told) entries.set(key, shown);
    return entries;
  }
}

/** What an iteration needs of the registry. */
export interface WatchHome {
  readonly directory: Directory;
  /** Reads what other nodes have changed. */
  look(): void;
  add(watching: Watching): void;
  remove(watching: Watching): void;
  hold(): Disposable;
}

const done = { done: true, value: undefined } as const;

type Next = IteratorResult<RegistryChange, undefined>;

/** A watch whose changes are asked for one by one. */
export class IteratedWatch implements RegistryWatch {
  readonly #home: WatchHome;
  readonly #watching: Watching;
  readonly #waiting: { resolve(next: Next): void; hold: Disposable }[] = [];
  readonly #ended: () => void;
  #isOver = false;

  constructor(home: WatchHome, family: string, ended: () => void) {
    this.#home = home;
    this.#ended = ended;
    this.#watching = new Watching(family, () => this.#serve());
    home.add(this.#watching);
  }

  // deno-lint-ignore require-await -- what looking throws rejects the promise
  async next(): Promise<Next> {
    if (this.#isOver) return done;
    this.#home.look();
    const { promise, resolve } = Promise.withResolvers<Next>();
    this.#waiting.push({ resolve, hold: this.#home.hold() });
    queueMicrotask(() => this.#serve());
    return promise;
  }

  #serve(): void {
    if (this.#waiting.length === 0 || !this.#watching.mayTell) return;
    const value = this.#watching.take(this.#home.directory);
    if (value !== null) this.#settle({ done: false, value });
  }

  #settle(next: Next): void {
    const { resolve, hold } = this.#waiting.shift()!;
    hold[Symbol.dispose]();
    resolve(next);
  }

  /** Ends the watch. Pending waits end. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#home.remove(this.#watching);
    this.#ended();
    while (this.#waiting.length > 0) this.#settle(done);
  }

  // deno-lint-ignore require-await -- as iterators have it
  async return(): Promise<Next> {
    this.close();
    return done;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // deno-lint-ignore require-await -- AsyncDisposable needs a promise
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
