/**
 * The processes: which players they run, and how they are started, stopped and killed.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { checkout, toolCommand } from "../../../scripts/tools.ts";
import { type RuntimeName, startProcess } from "../../../src/runtime/processes.ts";
import { Head, ledgerBytes, LedgerHead, Phase } from "./ledger.ts";
import type { Mode, Part, Role } from "./player.ts";
import type { Random } from "./random.ts";

export type Runtime = RuntimeName;

/** A process that is always there: when it ends, another one replaces it. */
export interface Seat {
  readonly runtime: Runtime;
  /** In the main thread, or each in its own Worker. */
  readonly place: "main" | "workers";
  readonly roles: readonly Role[];
}

/** How a player ended. */
export type Fate = "playing" | "finished" | "killed";

/** One player as the conductor sees it. */
export class Player {
  readonly part: Part;
  readonly seat: Seat;
  readonly head: LedgerHead;
  /** Set before the kill, so that the judge expects nothing more of the player. */
  wasKilled = false;

  constructor(part: Part, seat: Seat) {
    const file = openSync(part.ledger, "wx", 0o600);
    ftruncateSync(file, ledgerBytes);
    closeSync(file);
    this.part = part;
    this.seat = seat;
    this.head = LedgerHead.open(part.ledger);
  }

  get fate(): Fate {
    if (this.phase === Phase.finished) return "finished";
    return this.wasKilled ? "killed" : "playing";
  }

  get phase(): number {
    return this.head.get(Head.phase);
  }

  finish(): void {
    this.head.set(Head.finish, 1);
  }

  get title(): string {
    const { id, role, mode } = this.part;
    const { runtime, place } = this.seat;
    return `${role} ${id} (${runtime}, ${place === "main" ? "main thread" : "Worker"}, ${mode})`;
  }
}

const program = new URL("process.ts", import.meta.url);

/** A process and its players. */
export class Cast {
  readonly seat: Seat;
  readonly players: Player[];
  readonly pid: number;
  readonly exited: Promise<void>;
  /** Whether it should be there, because no fault has ended it. */
  isDismissed = false;
  isStopped = false;
  hasExited = false;
  /** How it ended, if that is a failure. */
  exitFailure: string | null = null;
  readonly #process: ChildProcess;
  #stderr = "";

  constructor(seat: Seat, players: Player[], folder: string) {
    this.seat = seat;
    this.players = players;
    const text = seat.place === "main" ? JSON.stringify(players[0]!.part) : "workers";
    const flags = ["--no-check", "--allow-ffi", "--allow-read"];
    this.#process = startProcess(toolCommand(seat.runtime, program, [text], flags), {
      cwd: checkout,
      env: { TANDEM_DIR: folder, NO_COLOR: "1" },
      stdio: ["pipe", "ignore", "pipe"],
    });
    if (this.#process.pid === undefined) throw new Error(`cannot start ${seat.runtime}`);
    this.pid = this.#process.pid;
    // A killed process does not read lines that are still on their way.
    this.#process.stdin!.on("error", () => {});
    this.#process.stderr!.setEncoding("utf8").on("data", (text: string) => this.#stderr += text);
    this.exited = new Promise((resolve) => {
      this.#process.once("close", (code, signal) => {
        this.hasExited = true;
        const isExpected = this.isDismissed ? signal === "SIGKILL" || code === 0 : code === 0;
        if (!isExpected || (this.#stderr !== "" && !this.isDismissed)) {
          this.exitFailure = `ended with ${signal ?? code}\n${this.#stderr}`.trimEnd();
        }
        resolve();
      });
    });
    if (seat.place === "workers") { for (const player of players) this.start(player); }
  }

  start(player: Player): void {
    if (!this.players.includes(player)) this.players.push(player);
    this.#tell({ start: player.part });
  }

  /** Ends one Worker in the middle of its work. */
  terminate(player: Player): void {
    player.wasKilled = true;
    this.#tell({ terminate: player.part.id });
  }

  #tell(message: unknown): void {
    this.#process.stdin!.write(`${JSON.stringify(message)}\n`);
  }

  kill(): void {
    this.isDismissed = true;
    for (const player of this.players) player.wasKilled = true;
    this.#signal("SIGKILL");
  }

  stop(): void {
    this.isStopped = true;
    this.#signal("SIGSTOP");
  }

  goOn(): void {
    this.isStopped = false;
    this.#signal("SIGCONT");
  }

  /** Its players have finished: a process of Workers ends with its stdin. */
  dismiss(): void {
    this.#process.stdin!.end();
  }

  get isOver(): boolean {
    return this.players.every((player) => player.fate !== "playing");
  }

  get title(): string {
    return `process ${this.pid} (${this.players.map((player) => player.title).join(", ")})`;
  }

  #signal(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    if (this.hasExited) return;
    try {
      process.kill(this.pid, signal);
    } catch {
      // It has ended, and the event is on its way.
    }
  }
}

/** Hands out parts, each player's id and ledger being its own for the whole run. */
export class Casting {
  readonly #common: Pick<Part, "seed" | "target" | "epoch">;
  readonly #folder: string;
  readonly #random: Random;
  /** All players that ever played. */
  readonly players: Player[] = [];

  constructor(common: Pick<Part, "seed" | "target" | "epoch">, folder: string, random: Random) {
    this.#common = common;
    this.#folder = folder;
    this.#random = random;
  }

  player(seat: Seat, role: Role): Player {
    const id = this.players.length + 1;
    const mode: Mode = this.#random.pick(["sync", "promise", "mixed"]);
    const part: Part = {
      ...this.#common,
      id,
      role,
      mode,
      ledger: join(this.#folder, `player-${id}.ledger`),
      outstandingMax: mode === "sync" ? 1 : this.#random.between(2, 8),
    };
    const player = new Player(part, seat);
    this.players.push(player);
    return player;
  }

  cast(seat: Seat): Cast {
    return new Cast(seat, seat.roles.map((role) => this.player(seat, role)), this.#folder);
  }
}
