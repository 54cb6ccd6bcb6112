/** Boards of nodes in one process. What one publishes, the others read, and hear of later. */
import { TandemError } from "../../mod.ts";
import type { BoardChange, Boards } from "../../src/node/registry/boards.ts";

/** The boards of a group. */
export class MemoryHall {
  readonly #boards: Set<MemoryBoards> = new Set();
  #next = 1;

  join(maxBytes: number = 2 ** 20): MemoryBoards {
    const boards = new MemoryBoards(this, `${this.#next++}`, maxBytes);
    this.#boards.add(boards);
    return boards;
  }

  /** The node of a board is gone. */
  leave(boards: MemoryBoards): void {
    this.#boards.delete(boards);
    this.ring(boards);
  }

  others(boards: MemoryBoards): MemoryBoards[] {
    return [...this.#boards].filter((other) => other !== boards);
  }

  ring(from: MemoryBoards): void {
    for (const other of this.others(from)) other.ring();
  }
}

export class MemoryBoards implements Boards {
  readonly hall: MemoryHall;
  readonly name: string;
  readonly maxBytes: number;
  /** What is on the board; a test may write anything. */
  content: Uint8Array | null = null;
  version = 0;
  published = 0;
  /** So many times there is no memory for the board. */
  refusals = 0;
  looks = 0;
  readonly #listeners: Set<() => void> = new Set();
  readonly #seen: Map<string, number> = new Map();

  constructor(hall: MemoryHall, name: string, maxBytes: number) {
    this.hall = hall;
    this.name = name;
    this.maxBytes = maxBytes;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Runs what was given to {@linkcode beforeMessages}. */
  publishRest = (): void => {};

  beforeMessages(publish: () => void): void {
    this.publishRest = publish;
  }

  publish(bytes: Uint8Array): void {
    if (this.refusals > 0) {
      this.refusals -= 1;
      throw new TandemError("NO_SPACE", "Cannot publish: there is no memory");
    }
    this.published += 1;
    this.write(bytes);
  }

  /** Writes what a hostile node may write. */
  write(bytes: Uint8Array): void {
    this.content = bytes.slice();
    this.version += 1;
    this.hall.ring(this);
  }

  *changes(): Iterable<BoardChange> {
    this.looks += 1;
    const left = new Set(this.#seen.keys());
    for (const { name, version, content } of this.hall.others(this)) {
      left.delete(name);
      if (content === null || this.#seen.get(name) === version) continue;
      this.#seen.set(name, version);
      const bytes = content.slice();
      yield { board: name, bytes };
      // The bytes are valid until the next look only.
      bytes.fill(0xff);
    }
    for (const name of left) {
      this.#seen.delete(name);
      yield { board: name, bytes: null };
    }
  }

  onChange(listener: () => void): Disposable {
    const entry = () => listener();
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  ring(): void {
    for (const listener of this.#listeners) setTimeout(listener, 0);
  }
}
