/**
 * Contenders of all runtimes share three places, while processes are killed, stopped and replaced at random: no place
 * has two holders, which the kernel's record locks prove; nobody is overtaken; and in the end every place can be had.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { checkout } from "../../../scripts/tools.ts";
import { startProcess } from "../../../src/runtime/processes.ts";
import { Limit } from "../../../src/limit/main.ts";
import { programCommand, type Runtime, runtimes } from "../talker.ts";
import type { Play, Report } from "./report.ts";
import { check, pause, type Rig, until } from "./rig.ts";

const max = 3;
/** While the number of places changes. */
const most = 5;

export interface Size {
  readonly play: Play;
  readonly processes: number;
  /** Of each process. */
  readonly contenders: number;
  readonly seconds: number;
}

/** Sums and faults of all players. */
class Tally {
  grants = 0;
  refusals = 0;
  longestWait = 0;
  readonly faults: string[] = [];
  lastGrant = performance.now();

  add({ grants, refusals, longestWait, faults }: Report): void {
    this.grants += grants;
    this.refusals += refusals;
    this.longestWait = Math.max(this.longestWait, longestWait);
    this.faults.push(...faults);
    if (grants > 0) this.lastGrant = performance.now();
  }
}

class Player {
  readonly process: ChildProcess;
  readonly title: string;
  isStopped = false;
  isDoomed = false;
  end: string | null = null;

  constructor(runtime: Runtime, args: readonly string[], tally: Tally) {
    const [program, ...rest] = programCommand(runtime, "tests/faults/limit/player.ts");
    this.process = startProcess({ program, args: [...rest, ...args] }, {
      cwd: checkout,
      env: { NO_COLOR: "1" },
    });
    this.title = `${runtime} ${this.process.pid}`;
    let stderr = "";
    this.process.stdin!.on("error", () => {});
    this.process.stderr!.setEncoding("utf8").on("data", (text: string) => stderr += text);
    createInterface({ input: this.process.stdout! }).on("line", (line) => {
      // Killed in the middle of a line.
      if (line.endsWith("}")) tally.add(JSON.parse(line) as Report);
    });
    this.process.once("close", (code, signal) => {
      this.end = signal ?? `code ${code}`;
      if (this.isDoomed || code === 0) return;
      tally.faults.push(`${this.title} ended by ${this.end}: ${stderr.slice(-2000)}`);
    });
  }

  signal(name: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
    if (this.end !== null) return;
    if (name === "SIGKILL") this.isDoomed = true;
    this.isStopped = name === "SIGSTOP";
    this.process.kill(name);
  }
}

export async function crowd(rig: Rig, size: Size): Promise<string> {
  const { random } = rig;
  const { play } = size;
  const target = join(rig.folder, `${play}-${size.contenders}.limit`);
  const tally = new Tally();
  // There is memory for more places than may be given.
  new Limit(target, { max: most }).close();
  using watcher = new Limit(target, { max, order: play === "newest" ? "newest" : "oldest" });
  const players: Player[] = [];
  /** Also those that were killed. */
  const all: Player[] = [];
  let stream = 0;
  const start = (): Player => {
    stream += 1;
    const places = play === "resized" ? most : max;
    const witness = `${target}.witness`;
    const args = [target, play, places, witness, rig.seed, stream, size.contenders];
    const player = new Player(runtimes[stream % runtimes.length]!, args.map(String), tally);
    rig.children.push(player.process);
    all.push(player);
    return player;
  };
  for (let count = 0; count < size.processes; count++) players.push(start());
  await until(() => tally.grants > 0, "a first grant");
  let kills = 0;
  let stops = 0;
  let looks = 0;
  let seen = 0;
  const deadline = performance.now() + size.seconds * 1000;
  while (performance.now() < deadline) {
    await pause(random.skewed(1, 60));
    looks += 1;
    seen = Math.max(seen, look(watcher, tally, play));
    if (play === "resized" && random.chance(0.2)) watcher.resize(random.between(1, most));
    const index = random.between(0, players.length - 1);
    const player = players[index]!;
    const deed = random.between(1, 10);
    // A new process costs far more than a stop.
    if (deed === 1 && stream < size.processes + size.seconds * 4) {
      player.signal("SIGKILL");
      kills += 1;
      players[index] = start();
    } else if (deed <= 4 && !player.isStopped) {
      player.signal("SIGSTOP");
      stops += 1;
      setTimeout(() => player.signal("SIGCONT"), random.skewed(5, 500));
    }
    check(tally.faults.length === 0, tally.faults.slice(0, 5).join("\n"));
    if (performance.now() - tally.lastGrant > rig.patience) {
      throw new Error(`nobody is served any more:\n${describe(watcher)}`);
    }
  }
  if (play === "resized") watcher.resize(max);
  for (const player of players) player.signal("SIGCONT");
  for (const player of players) player.process.stdin!.write("stop\n");
  // One that was killed a moment ago may still be about to die, and holds its place until then.
  await until(
    () => tally.faults.length > 0 || all.every(({ end }) => end !== null),
    () => `all contenders come to an end; there are left\n${describe(watcher)}`,
  );
  check(tally.faults.length === 0, tally.faults.slice(0, 5).join("\n"));
  checkRest(watcher);
  return `${play}: ${
    size.processes * size.contenders
  } contenders in ${size.processes} processes for ` +
    `${size.seconds} s: ${tally.grants} grants, ${tally.refusals} refusals, ${kills} kills, ` +
    `${stops} stops, ${looks} looks at up to ${seen} contenders; the longest wait took ` +
    `${Math.round(tally.longestWait)} ms`;
}

/** Who holds is listed before who waits, so a waiter with a smaller ticket was overtaken. */
function look(watcher: Limit, tally: Tally, play: Play): number {
  const holders = watcher.holders();
  const waiters = watcher.waiters();
  const newest = Math.max(-1, ...holders.map(({ ticket }) => ticket));
  const overtaken = waiters.find(({ ticket }) => ticket < newest);
  // A thief's lock comes before older tickets, too.
  if (overtaken && (play === "plain" || play === "resized")) {
    tally.faults.push(`ticket ${newest} holds, ${overtaken.ticket} waits:\n${describe(watcher)}`);
  }
  return holders.length + waiters.length;
}

function describe(watcher: Limit): string {
  return [...watcher.holders(), ...watcher.waiters()].map((one) =>
    `  ticket ${one.ticket}: ${one.id > 0 ? `place ${one.id}` : "waits"}, ${one.mode}, ` +
    `${one.runtime} ${one.pid}`
  ).join("\n");
}

function checkRest(watcher: Limit): void {
  const { target } = watcher;
  check(watcher.holders().length === 0, `places are held:\n${describe(watcher)}`);
  check(watcher.waiters().length === 0, `somebody waits:\n${describe(watcher)}`);
  const limits = Array.from({ length: max + 1 }, () => new Limit(target));
  const ids = limits.map((limit) => limit.tryAcquire()?.id ?? 0);
  for (const limit of limits) limit.close();
  check(String(ids) === "1,2,3,0", `places are lost: ${ids}`);
}
