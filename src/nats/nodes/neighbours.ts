/**
 * The nodes that share the memory of this one and have the network, too. One of them tells of all that they live: the
 * one whose session is the lowest, as far as the others hear of it. They tell only that one, as long as it tells of
 * them. So there is nothing to agree on: who is not told of tells of itself.
 *
 * @module
 */
import type { NodeInfo } from "../../node/carrier.ts";
import type { Alive } from "./frames.ts";

/** Who was silent for so many ticks tells of nobody. */
const silentTicks = 2;

export class Neighbour {
  readonly session: string;
  readonly id: string;
  /** The subject of its mailbox. */
  readonly subject: string;
  /** Of its board. */
  version = 0;
  /** For so many ticks nothing was heard of it. */
  silence = 0;

  constructor(session: string, { id }: NodeInfo, subject: string) {
    this.session = session;
    this.id = id;
    this.subject = subject;
  }
}

export class Neighbours {
  readonly #own: string;
  readonly #bySession: Map<string, Neighbour> = new Map();
  /** The number of the board that somebody has told of this node since the last tick; 0: nobody has. */
  #toldVersion = 0;

  /** @param own the session of this node */
  constructor(own: string) {
    this.#own = own;
  }

  of(session: string): Neighbour | undefined {
    return this.#bySession.get(session);
  }

  withId(id: string): Neighbour[] {
    return [...this.#bySession.values()].filter((one) => one.id === id);
  }

  add(neighbour: Neighbour): void {
    this.#bySession.set(neighbour.session, neighbour);
  }

  remove(session: string): void {
    this.#bySession.delete(session);
  }

  /** The one that tells of this node; null: this one does, and of others. */
  get speaker(): Neighbour | null {
    let lowest: Neighbour | null = null;
    for (const one of this.#bySession.values()) {
      const { session, silence } = one;
      if (session < (lowest?.session ?? this.#own) && silence <= silentTicks) lowest = one;
    }
    return lowest;
  }

  /** Those that have said that they live since the last tick. */
  heard(): Alive[] {
    return [...this.#bySession.values()].filter(({ silence }) => silence === 0);
  }

  /** A neighbour has told all others of this node, and of its board with that number. */
  told(version: number): void {
    this.#toldVersion = version;
  }

  /** Whether somebody has told of this node as it is. */
  isToldOf(version: number): boolean {
    return this.#toldVersion === version;
  }

  /** @returns those of which nothing was heard for so many ticks, which are neighbours no more */
  tick(silenceMax: number): Neighbour[] {
    this.#toldVersion = 0;
    const gone: Neighbour[] = [];
    for (const one of this.#bySession.values()) {
      one.silence += 1;
      if (one.silence > silenceMax) gone.push(one);
    }
    for (const { session } of gone) this.#bySession.delete(session);
    return gone;
  }
}
