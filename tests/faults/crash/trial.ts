/**
 * One operation, at every one of its points.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { End } from "./actor.ts";
import type { Operation } from "./operation.ts";
import type { Scene } from "./scene.ts";

/** The operation and its cast. */
export interface Tried {
  readonly points: number;
  /** The store or system call before which each victim died. */
  readonly places: readonly string[];
}

/** Where the survivors take part, the points differ a little between runs: this many runs in a row
 * have to end without a death. */
const jointSurvivals = 3;

/** With more points the operation does not end. */
const pointsMax = 2000;

/**
 * A busy machine makes an operation take another path now and then. One that misses points, or has too many, does so each
 * time.
 */
const attemptsMax = 3;

/** A run without a death had another number of points than there were deaths. */
class OtherPath extends Error {}

/** As {@linkcode tryPoints}, once more if the path was not the same all the time. */
export async function tryOperation(
  scene: Scene,
  operation: Operation,
  only?: number,
): Promise<Tried> {
  for (let attempt = 1;; attempt++) {
    try {
      return await tryPoints(scene, operation, only);
    } catch (error) {
      const { cause } = error as { cause?: unknown };
      if (!(cause instanceof OtherPath) || attempt === attemptsMax) throw error;
      if (scene.isOpen) await scene.close();
    }
  }
}

/**
 * Kills a victim at each point of an operation, until the operation has no more; with
 * `only`, at that one.
 *
 * @throws for the first point at which anything is not as it should be
 */
async function tryPoints(
  scene: Scene,
  operation: Operation,
  only?: number,
): Promise<Tried> {
  const wantedSurvivals = operation.isJoint ? jointSurvivals : 1;
  const posts = new Posts(operation);
  const places: string[] = [];
  let survivals = 0;
  let point = only ?? 1;
  for (; survivals < wantedSurvivals && point <= (only ?? pointsMax); point++) {
    try {
      const end = await withinLimit(tryPoint(scene, operation, point, posts));
      if (end.died) {
        places.push(end.before);
        survivals = 0;
      } else {
        survivals += 1;
        // As many as there were deaths: the channel missed none.
        if (!operation.isJoint && only === undefined && end.points !== point - 1) {
          throw new OtherPath(
            `${end.points} points, not ${point - 1}, after ${places.join(", ")}`,
          );
        }
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${operation.name}, point ${point}: ${reason}`, { cause: error });
    }
  }
  assert(only !== undefined || survivals === wantedSurvivals, `${operation.name} does not end`);
  if (scene.isOpen) await scene.close();
  return { points: places.length, places };
}

/** A survivor that does not answer within it hangs. */
async function withinLimit<T>(promise: Promise<T>): Promise<T> {
  const limit = 90_000;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("a survivor hangs")), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function tryPoint(
  scene: Scene,
  operation: Operation,
  point: number,
  posts: Posts,
): Promise<End> {
  const channel = operation.channel ?? "kept";
  if (channel !== "kept" && scene.isOpen) await scene.close();
  if (!scene.isOpen) {
    scene.newTarget();
    if (channel !== "absent") await scene.open();
  }
  if (scene.isOpen) await scene.asleep();
  const victim = await operation.prepare(scene);
  if (!operation.isJoint) {
    await scene.stopAll();
    await victim.expect("stop-clock", 0);
  }
  const end = await victim.dieAt(point, operation.steps.map(([command]) => command));
  scene.resume();
  if (!end.died) checkResults(operation, end.results);
  try {
    if (operation.after) await operation.after(scene);
    await scene.settle();
    posts.check(await scene.verify(), !end.died);
  } catch (error) {
    const where = end.died ? `killed before ${end.before}` : "after the end";
    throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  return end;
}

function checkResults(operation: Operation, results: readonly number[]): void {
  for (const [index, [command, ...wanted]] of operation.steps.entries()) {
    const result = results[index]!;
    assert(wanted.includes(result), `"${command}" gave ${result}, not ${wanted.join(" or ")}`);
  }
}

/** Counts posted requests, from one point to the next. */
class Posts {
  readonly #wanted: Operation["posted"];
  #before: number | undefined;

  constructor({ posted }: Operation) {
    this.#wanted = posted;
  }

  /** @param isComplete the victim completed its operation */
  check(found: number | null, isComplete: boolean): void {
    if (found === null) return;
    const wanted = this.#wanted ?? 0;
    if (typeof wanted === "number") {
      assertEquals(found, wanted, "posted requests that were handed out");
      return;
    }
    const last = wanted === "from some point" ? 1 : 0;
    const isRight = found === last || (found === 1 - last && this.#before !== last && !isComplete);
    assert(isRight, `posted requests handed out: ${found}, at the point before: ${this.#before}`);
    this.#before = found;
  }
}
