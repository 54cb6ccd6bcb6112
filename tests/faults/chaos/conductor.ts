/**
 * Runs the players: starts them, injects the faults of the schedule, replaces players that are gone,
 * and checks that every player makes progress.
 *
 * @module
 */
import type { Client } from "../../../mod.ts";
import { runtimeNames } from "../../../src/runtime/processes.ts";
import { Head, Phase } from "./ledger.ts";
import { tailOf } from "./story.ts";
import { type Role, sleep } from "./player.ts";
import type { Random } from "./random.ts";
import type { Due, Fault } from "./schedule.ts";
import type { Cast, Casting, Player, Seat } from "./troupe.ts";

/** The faults that the players suffered. */
export interface Deeds {
  kills: number;
  stops: number;
  terminations: number;
  joins: number;
  leaves: number;
}

/** A call that is open for longer hangs: no player is stopped or holds a request for so long. */
const patience = 30_000;
/** Guests beside the players that have a seat. */
const guestsMax = 3;

/** The watchdog's complaint. */
export class Hang extends Error {}

export class Conductor {
  readonly deeds: Deeds = { kills: 0, stops: 0, terminations: 0, joins: 0, leaves: 0 };
  readonly #casting: Casting;
  readonly #random: Random;
  /** The conductor's own handle, for its numbers. */
  readonly #watcher: Client;
  readonly #epoch: number;
  readonly #casts: Set<Cast> = new Set();
  readonly #guests: Set<Cast> = new Set();
  readonly #onProcess: (pid: number, isThere: boolean) => void;
  /** When each player was last seen to make progress. */
  readonly #lastBeats: Map<Player, { beats: number; at: number }> = new Map();
  #finishedCalls = 0;
  #killsDue = 0;
  /** Players that are gone are no longer replaced. */
  #isFinishing = false;

  constructor(
    casting: Casting,
    random: Random,
    watcher: Client,
    epoch: number,
    onProcess: (pid: number, isThere: boolean) => void,
  ) {
    this.#casting = casting;
    this.#random = random;
    this.#watcher = watcher;
    this.#epoch = epoch;
    this.#onProcess = onProcess;
  }

  /** Starts all players, and lets them play until `calls` are done and every fault has come. */
  async play(
    seats: readonly Seat[],
    schedule: readonly Due[],
    calls: number,
    onProgress: (calls: number) => void,
  ): Promise<void> {
    for (const seat of seats) this.#start(this.#casting.cast(seat));
    const due = [...schedule];
    for (;;) {
      const done = this.calls();
      onProgress(done);
      while (due.length > 0 && due[0]!.calls <= done) this.#do(due.shift()!.fault);
      const count = this.#killsDue;
      this.#killsDue = 0;
      if (count > 0) this.#do({ kind: "kill", count });
      if (done >= calls && due.length === 0 && this.#isComplete()) break;
      this.#replace();
      this.#watch();
      await sleep(3);
    }
  }

  /** Ends the clients, then the servers once nothing is in flight, then all processes. */
  async finish(): Promise<void> {
    for (const cast of this.#casts) if (cast.isStopped) cast.goOn();
    await this.#until("clients finish", () => {
      // Also of terminated Workers: Deno lets them run on until they no longer block.
      for (const { head, part } of this.#casting.players) {
        if (part.role === "client") head.set(Head.finish, 1);
      }
      return this.#players("client").every(({ fate }) => fate !== "playing") &&
        this.#watcher.stats().clients === 1;
    });
    await this.#until("servers take what was posted", () => this.#watcher.stats().inFlight === 0);
    await this.#until("servers finish", () => {
      for (const { head } of this.#casting.players) head.set(Head.finish, 1);
      return [...this.#casts].every((cast) => cast.isOver);
    });
    for (const cast of this.#casts) cast.dismiss();
    await this.#until("processes end", () => [...this.#casts].every((cast) => cast.hasExited));
    this.#replace();
  }

  /** Whether every expected player is there. */
  #isComplete(): boolean {
    return [...this.#casts].every((cast) =>
      !cast.isDismissed && cast.players.every(({ phase }) => phase !== Phase.starting)
    );
  }

  /** Calls that have an outcome. */
  calls(): number {
    let sum = this.#finishedCalls;
    for (const player of this.#players("client")) sum += player.head.get(Head.ended);
    return sum;
  }

  /** Ends everything at once. */
  async abandon(): Promise<void> {
    for (const cast of this.#casts) cast.kill();
    await Promise.all([...this.#casts].map((cast) => cast.exited));
  }

  /** A description of the players that are there. */
  dump(): string[] {
    const lines = [`the channel: ${JSON.stringify(this.#watcher.stats())}`];
    for (const cast of this.#casts) {
      lines.push(`${cast.title}${cast.isStopped ? ", stopped" : ""}`);
      for (const player of cast.players) {
        const words = Object.entries(Head).map(([name, field]) =>
          `${name} ${player.head.get(field)}`
        );
        lines.push(`${player.title}, ${player.fate}: ${words.join(", ")}`, ...tailOf(player));
      }
    }
    return lines;
  }

  #start(cast: Cast): void {
    this.#casts.add(cast);
    this.#onProcess(cast.pid, true);
    cast.exited.then(() => this.#onProcess(cast.pid, false));
  }

  #players(role?: Role): Player[] {
    const all = [...this.#casts].flatMap((cast) => cast.players);
    return role ? all.filter((player) => player.part.role === role) : all;
  }

  #do(fault: Fault): void {
    // Faults may hit players that are still joining, but mostly hit players that play.
    const alive = [...this.#casts].filter((cast) => !cast.isDismissed && !cast.hasExited);
    const playing = alive.filter((cast) =>
      this.#random.chance(0.1) || cast.players.some(({ phase }) => phase === Phase.running)
    );
    const candidates = playing.length > 0 ? playing : alive;
    if (candidates.length === 0 && fault.kind !== "kill") return;
    switch (fault.kind) {
      case "kill":
        for (let count = 0; count < fault.count; count++) this.#kill(candidates);
        return;
      case "stop":
        return this.#stop(this.#random.pick(candidates), fault.milliseconds);
      case "terminate":
        return this.#terminate(alive.filter(({ seat }) => seat.place === "workers"));
      case "join":
        return this.#join();
      case "leave":
        this.#random.pick(this.#players()).finish();
        this.deeds.leaves += 1;
    }
  }

  #stop(cast: Cast, milliseconds: number): void {
    if (cast.isStopped) return;
    cast.stop();
    this.deeds.stops += 1;
    setTimeout(() => cast.goOn(), milliseconds);
  }

  #terminate(hosts: readonly Cast[]): void {
    if (hosts.length === 0) return;
    const host = this.#random.pick(hosts);
    const players = host.players.filter(({ fate }) => fate === "playing");
    if (players.length === 0) return;
    host.terminate(this.#random.pick(players));
    this.deeds.terminations += 1;
  }

  #join(): void {
    if (this.#guests.size >= guestsMax) return;
    const guest = this.#casting.cast({
      runtime: this.#random.pick(runtimeNames),
      place: "main",
      roles: [this.#random.pick(["client", "server"])],
    });
    this.#guests.add(guest);
    this.#start(guest);
    this.deeds.joins += 1;
  }

  /** Kills one of them, or the next one to come if all are dead. */
  #kill(candidates: Cast[]): void {
    if (candidates.length === 0) {
      this.#killsDue += 1;
      return;
    }
    const [cast] = candidates.splice(this.#random.between(0, candidates.length - 1), 1);
    cast!.kill();
    this.deeds.kills += 1;
  }

  /** Replaces players that are gone. */
  #replace(): void {
    for (const cast of [...this.#casts]) {
      if (cast.exitFailure !== null) throw new Error(`${cast.title} ${cast.exitFailure}`);
      if (cast.hasExited) {
        this.#remove(cast);
        const isGuest = this.#guests.delete(cast);
        if (!isGuest && !this.#isFinishing) this.#start(this.#casting.cast(cast.seat));
      } else if (cast.seat.place === "workers" && !cast.isDismissed && !this.#isFinishing) {
        this.#replaceWorkers(cast);
      }
      this.#fail(cast);
    }
  }

  #replaceWorkers(host: Cast): void {
    host.players.forEach((player, index) => {
      if (player.fate === "playing") return;
      this.#finishedCalls += callsOf(player);
      const successor = this.#casting.player(host.seat, player.part.role);
      host.players[index] = successor;
      host.start(successor);
    });
  }

  #fail(cast: Cast): void {
    for (const player of cast.players) {
      if (player.phase === Phase.failed) throw new Error(`${player.title}: ${player.head.note}`);
    }
  }

  #remove(cast: Cast): void {
    this.#casts.delete(cast);
    for (const player of cast.players) {
      this.#finishedCalls += callsOf(player);
      this.#lastBeats.delete(player);
    }
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    this.#isFinishing = true;
    const deadline = Date.now() + 2 * patience;
    while (!condition()) {
      this.#replace();
      this.#watch();
      if (Date.now() > deadline) throw new Hang(`it never came to pass that ${what}`);
      await sleep(3);
    }
  }

  /** No player may wait for ever. */
  #watch(): void {
    const now = Date.now();
    for (const cast of this.#casts) {
      if (cast.isStopped || cast.isDismissed) continue;
      for (const player of cast.players) {
        if (player.fate === "playing") this.#watchPlayer(player, now);
      }
    }
  }

  #watchPlayer(player: Player, now: number): void {
    const { head } = player;
    const beats = head.get(Head.beats) + head.get(Head.phase);
    const last = this.#lastBeats.get(player);
    if (!last || last.beats !== beats) this.#lastBeats.set(player, { beats, at: now });
    else if (now - last.at > patience && this.#shouldMove(player)) {
      throw new Hang(`${player.title} does nothing any more`);
    }
    const oldest = head.get(Head.oldestStart);
    if (oldest !== 0 && now - this.#epoch - oldest > patience) {
      throw new Hang(`call ${head.get(Head.oldest)} of ${player.title} does not end`);
    }
  }

  /** A server without requests has nothing to do. */
  #shouldMove({ part }: Player): boolean {
    return part.role === "client" || this.#watcher.stats().queued > 0;
  }
}

function callsOf(player: Player): number {
  return player.part.role === "client" ? player.head.get(Head.ended) : 0;
}
