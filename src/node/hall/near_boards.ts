/**
 * The boards of the nodes of this machine, in one hall after the other.
 *
 * @module
 */
import type { BoardChange, Boards } from "../registry/boards.ts";

export class NearBoards implements Boards {
  readonly maxBytes: number;
  #boards: Boards;
  /** Of halls that were removed, as long as their boards are not known to be gone. */
  readonly #former: [round: number, Boards][] = [];
  #round = 0;
  readonly #listeners: Map<() => void, Disposable> = new Map();
  #publishRest = (): void => {};
  /** What this node has published last. */
  own: Uint8Array | null = null;

  constructor(boards: Boards) {
    this.#boards = boards;
    this.maxBytes = boards.maxBytes;
  }

  publish(bytes: Uint8Array): void {
    this.own = bytes.slice();
    this.#boards.publish(bytes);
  }

  beforeMessages(publish: () => void): void {
    this.#publishRest = publish;
    this.#boards.beforeMessages(publish);
  }

  *changes(): Iterable<BoardChange> {
    for (const [round, boards] of this.#former.splice(0)) yield* named(round, boards);
    yield* named(this.#round, this.#boards);
  }

  onChange(listener: () => void): Disposable {
    const own = () => listener();
    this.#listeners.set(own, this.#boards.onChange(own));
    return {
      [Symbol.dispose]: () => {
        this.#listeners.get(own)?.[Symbol.dispose]();
        this.#listeners.delete(own);
      },
    };
  }

  /** The node has entered another hall, and has published {@linkcode own} there. */
  move(boards: Boards): void {
    this.#former.push([this.#round, this.#boards]);
    this.#round += 1;
    this.#boards = boards;
    boards.beforeMessages(this.#publishRest);
    for (const [listener, listening] of [...this.#listeners]) {
      listening[Symbol.dispose]();
      this.#listeners.set(listener, boards.onChange(listener));
      listener();
    }
  }
}

/** A board's name is never used for another one. */
function* named(round: number, boards: Boards): Iterable<BoardChange> {
  for (const change of boards.changes()) yield { ...change, board: `${round} ${change.board}` };
}
