/**
 * A contender for a limit dies at every point of every operation. Two others wait meanwhile, asleep until
 * somebody wakes them; both have to get a place in their turn, and no place and no entry may be lost.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../../support/processes.ts";
import { Actor } from "./actor.ts";

/** A command to an actor, and what it gives. */
type Step = readonly [command: string, ...results: readonly number[]];

/** An operation of a contender. Handle 0 of each process is on the limit. */
interface LimitOperation {
  readonly name: string;
  readonly max: number;
  /** Somebody has a place from the beginning and gives it back in the end. */
  readonly isHeld?: boolean;
  /** What the victim has done before, beside opening the limit. */
  readonly before: readonly Step[];
  /** Another contender, which comes before the victim or after it, and dies before the victim goes on. */
  readonly corpse?: { readonly comes: "before" | "after"; readonly steps: readonly Step[] };
  /** How the survivors want a place, for which they wait. */
  readonly waiting: readonly string[];
  /** What the victim is killed in. */
  readonly steps: readonly Step[];
  /** How many places there may be afterwards, if it is not certain that there are `max`. */
  readonly places?: readonly number[];
}

const notNow = -1002;
const idle = -1004;
const opens: Step = ["open-limit 0 attach TARGET", 0];
const holds: Step = ["want 0", 1];
const waits: Step = ["want 0", 0];
const alone: readonly string[] = ["", ""];

export const limitOperations: readonly LimitOperation[] = [
  {
    name: "want a place and get it",
    max: 2,
    isHeld: true,
    before: [],
    waiting: [],
    steps: [["want 0", 2]],
  },
  {
    name: "want a place and wait",
    max: 1,
    isHeld: true,
    before: [],
    waiting: alone,
    steps: [waits],
  },
  {
    name: "try to get a place, in vain",
    max: 1,
    isHeld: true,
    before: [],
    waiting: alone,
    steps: [["want 0 try", notNow]],
  },
  {
    name: "wait for a share",
    max: 1,
    isHeld: true,
    before: [],
    waiting: ["shared", ""],
    steps: [["want 0 shared", 0]],
  },
  { name: "give a place back", max: 1, before: [holds], waiting: alone, steps: [["release 0", 1]] },
  {
    name: "give one of two places back",
    max: 2,
    isHeld: true,
    before: [["want 0", 2]],
    waiting: alone,
    steps: [["release 0", 1]],
  },
  {
    name: "give a place back to two who share it",
    max: 1,
    before: [holds],
    waiting: ["shared", "shared"],
    steps: [["release 0", 1]],
  },
  {
    name: "give a share back",
    max: 1,
    before: [["want 0 shared", 1]],
    waiting: ["", "shared"],
    steps: [["release 0", 1]],
  },
  {
    name: "give up waiting",
    max: 1,
    isHeld: true,
    before: [waits],
    waiting: alone,
    steps: [["withdraw 0", idle]],
  },
  { name: "look", max: 1, isHeld: true, before: [waits], waiting: alone, steps: [["look 0", 0]] },
  {
    name: "lie down and get up",
    max: 1,
    isHeld: true,
    before: [waits, ["bell 0 datagram", 0], ["watch 0", -1]],
    waiting: alone,
    steps: [["lie-down 0", 0], ["get-up 0", 0]],
  },
  {
    name: "repair one that held a place",
    max: 1,
    before: [waits],
    corpse: { comes: "before", steps: [holds] },
    waiting: alone,
    steps: [["sweep 0", 1], ["look 0", 1]],
  },
  {
    name: "repair one that waited",
    max: 1,
    before: [holds],
    corpse: { comes: "after", steps: [waits] },
    waiting: alone,
    steps: [["sweep 0", 1]],
  },
  {
    name: "wait, and find the holder dead",
    max: 1,
    before: [waits],
    corpse: { comes: "before", steps: [holds] },
    waiting: alone,
    steps: [["await 0 -", 1]],
  },
  {
    name: "resize from one place to two",
    max: 1,
    before: [holds],
    waiting: alone,
    steps: [["resize 0 2", 0]],
    places: [1, 2],
  },
  {
    name: "resize from two places to one",
    max: 2,
    isHeld: true,
    before: [["want 0", 2]],
    waiting: alone,
    steps: [["resize 0 1", 0]],
    places: [1, 2],
  },
  {
    name: "steal a place",
    max: 1,
    isHeld: true,
    before: [],
    waiting: alone,
    steps: [["want 0 steal", 1]],
  },
  { name: "close with a place", max: 1, before: [holds], waiting: alone, steps: [["close 0", 0]] },
  {
    name: "close while waiting",
    max: 1,
    isHeld: true,
    before: [waits],
    waiting: alone,
    steps: [["close 0", 0]],
  },
];

/** With more points the operation does not end. */
const pointsMax = 2000;

/**
 * Kills a victim at each point of an operation.
 *
 * @returns the store or system call before which each has died
 * @throws for the first point at which anything is not as it should be
 */
export async function tryLimitOperation(
  operation: LimitOperation,
  parent: string,
): Promise<readonly string[]> {
  const stage = await LimitStage.create(operation, parent);
  const places: string[] = [];
  try {
    for (let point = 1; point <= pointsMax; point++) {
      const before = await stage.play(point).catch((error) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`${operation.name}, point ${point}: ${reason}`, { cause: error });
      });
      if (before === null) return places;
      places.push(before);
    }
    throw new Error(`${operation.name} does not end`);
  } finally {
    await stage.end();
  }
}

/** A limit with its survivors. */
class LimitStage {
  readonly #operation: LimitOperation;
  readonly #folder: string;
  readonly #keeper: Actor;
  readonly #survivors: readonly Actor[];

  private constructor(operation: LimitOperation, folder: string) {
    this.#operation = operation;
    this.#folder = folder;
    this.#keeper = this.#actor();
    this.#survivors = operation.waiting.map(() => this.#actor());
  }

  static async create(operation: LimitOperation, parent: string): Promise<LimitStage> {
    const stage = new LimitStage(operation, mkdtempSync(join(parent, "tandem-crash-limit-")));
    await stage.#keeper.expect("open-limit 0 new TARGET", 0);
    for (const survivor of stage.#survivors) await perform(survivor, [opens]);
    return stage;
  }

  #actor(): Actor {
    return new Actor({ TANDEM_DIR: this.#folder }, join(this.#folder, "crowded.limit"));
  }

  /** @returns null: the victim has survived */
  async play(point: number): Promise<string | null> {
    const { max, isHeld, before, corpse, waiting, steps } = this.#operation;
    await this.#keeper.expect(`terms 0 ${max}`, 0);
    if (isHeld) await perform(this.#keeper, [holds]);
    const victim = this.#actor();
    const dead = corpse && this.#actor();
    if (corpse?.comes === "before") await perform(dead!, [opens, ...corpse.steps]);
    await perform(victim, [opens, ...before]);
    if (corpse?.comes === "after") await perform(dead!, [opens, ...corpse.steps]);
    for (const [index, survivor] of this.#survivors.entries()) {
      await survivor.expect(`want 0 ${waiting[index]}`.trim(), 0);
      survivor.begin("await 0 -");
      await eventually(
        async () => await this.#keeper.prepare("sleepers 0") > index,
        "a survivor sleeps",
      );
    }
    // Only the victim acts.
    for (const survivor of this.#survivors) await survivor.process.stopped();
    await dead?.kill();
    await victim.expect("stop-clock", 0);
    const end = await victim.dieAt(point, steps.map(([command]) => command));
    for (const survivor of this.#survivors) survivor.process.kill("SIGCONT");
    if (!end.died) checkResults(steps, end.results);
    try {
      await this.#checkSurvivors();
      await this.#checkPlaces();
    } catch (error) {
      const where = end.died ? `killed before ${end.before}` : "after the end";
      throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
    return end.died ? end.before : null;
  }

  /** Each gets a place in its turn, and gives it back. */
  async #checkSurvivors(): Promise<void> {
    // A thief may have taken it.
    if (this.#operation.isHeld) await this.#keeper.expect("release 0", 0, 1);
    for (const survivor of this.#survivors) {
      const place = await survivor.process.message<number>();
      assert(place > 0, `a survivor that waited got ${place}`);
      await survivor.expect("release 0", 1);
    }
  }

  /** Newcomers get every place, and the dead have none. */
  async #checkPlaces(): Promise<void> {
    const { max, places = [max] } = this.#operation;
    const keeper = this.#keeper;
    let found = 0;
    for (; found <= Math.max(...places); found++) {
      await keeper.expect(`open-limit ${found + 1} attach TARGET`, 0);
      const place = await keeper.prepare(`want ${found + 1} try`);
      if (place === notNow) break;
      assertEquals(place, found + 1, "the place that a newcomer gets");
    }
    assert(places.includes(found), `there are ${found} places, not ${places.join(" or ")}`);
    assertEquals(await keeper.prepare("contenders 0"), found, "contenders");
    for (let handle = 1; handle <= found + 1; handle++) await keeper.expect(`close ${handle}`, 0);
  }

  async end(): Promise<void> {
    await Promise.all([this.#keeper, ...this.#survivors].map((actor) => actor.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function perform(actor: Actor, steps: readonly Step[]): Promise<void> {
  for (const [command, ...results] of steps) await actor.expect(command, ...results);
}

function checkResults(steps: readonly Step[], results: readonly number[]): void {
  for (const [index, [command, ...wanted]] of steps.entries()) {
    const result = results[index]!;
    assert(wanted.includes(result), `"${command}" gave ${result}, not ${wanted.join(" or ")}`);
  }
}
