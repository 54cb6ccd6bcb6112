/**
 * The part that every player gets, and the code that clients and servers share.
 *
 * @module
 */
import process from "node:process";
import { Content } from "./content.ts";
import { Head, Ledger, Phase } from "./ledger.ts";
import { Random } from "./random.ts";

export type Role = "client" | "server";

/**
 * `sync` never comes back to its event loop, `promise` never blocks it, `mixed` does both, and so its
 * blocking calls have a time-out.
 */
export type Mode = "sync" | "promise" | "mixed";

/** The part that the conductor gives to a player. */
export interface Part {
  /** Unique to this player, in all processes and for the whole run. */
  readonly id: number;
  readonly role: Role;
  readonly mode: Mode;
  readonly seed: number;
  readonly target: string;
  readonly ledger: string;
  /** When the run began, by `Date.now()`: times in the ledgers count from it. */
  readonly epoch: number;
  /** Of a client: how many calls may be open at once. */
  readonly outstandingMax: number;
}

/** A player's means. */
export class Stage {
  readonly part: Part;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly content: Content;
  /** Of the current handle: short messages without delay, so that much happens between two faults. */
  isBrisk = false;

  constructor(part: Part) {
    this.part = part;
    this.ledger = Ledger.open(part.ledger);
    this.random = new Random(part.seed, part.id);
    this.content = new Content(part.seed);
  }

  /** Milliseconds since the run began; never 0. */
  now(): number {
    return Math.max(1, Date.now() - this.part.epoch);
  }

  /** A new handle. */
  chooseTemper(): void {
    this.isBrisk = this.random.chance(0.5);
  }

  beat(): void {
    this.ledger.head.add(Head.beats);
  }

  get shouldFinish(): boolean {
    return this.ledger.head.get(Head.finish) !== 0 || this.ledger.isFull;
  }

  /** Reports an event that must not happen: the audit shows the note. */
  note(text: string): void {
    this.ledger.head.note = text;
  }

  setPhase(phase: number): void {
    this.ledger.head.set(Head.phase, phase);
  }
}

/** Plays a part to its end; in the main thread or in a Worker. */
export async function play(part: Part): Promise<void> {
  const stage = new Stage(part);
  try {
    if (part.role === "client") {
      const { playClient } = await import("./client_player.ts");
      await playClient(stage);
    } else {
      const { playServer } = await import("./server_player.ts");
      await playServer(stage);
    }
    stage.setPhase(Phase.finished);
  } catch (error) {
    stage.note(`the player broke off: ${(error as Error).stack ?? error}`);
    stage.setPhase(Phase.failed);
  }
}

/** Resolves after that many milliseconds. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The parts of a call's id as ledgers have them. */
export function partsOf(id: bigint): { generation: number; slot: number } {
  if (id >= 1n << 48n) throw new Error(`${id} is more calls than any run can make`);
  return { generation: Number(id >> 16n), slot: Number(id & 0xffffn) };
}

/** A process's argument. */
export function argument(): string {
  const [text] = process.argv.slice(2);
  if (text === undefined) throw new Error("the conductor starts this program, see ../chaos.ts");
  return text;
}
