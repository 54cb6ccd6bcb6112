/**
 * Kills a process at every store to shared memory, and at every system call that leaves
 * something behind, in every operation and every role, and checks how others go on.
 *
 *     bun tests/faults/crash.ts [--full] [--seed N] [--only TEXT [--point N]] [--places] [--list]
 *
 * Run `zig build crash` before. The victim is native/crash.zig, the library with points of death
 * in it; servers and clients of all runtimes survive it.
 *
 * `--only` takes the operations with that text in their names, `--point` only one of their points;
 * `--places` shows where each victim died, `--list` the names of all operations.
 *
 * Without `--full` two servers and two clients are on the channel, of two runtimes, and of other two in the
 * next operation; the seed decides which come first. With it every point is tried with all runtimes
 * together, with each single pair of them, and with stopped bystanders.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { everyPair, runtimes, startWatchdog } from "../support/processes.ts";
import { checkActor } from "./crash/actor.ts";
import { limitOperations, tryLimitOperation } from "./crash/limits.ts";
import { calling } from "./crash/operations/calling.ts";
import { opening } from "./crash/operations/opening.ts";
import { repairing } from "./crash/operations/repairing.ts";
import { serving } from "./crash/operations/serving.ts";
import { waiting } from "./crash/operations/waiting.ts";
import type { Operation } from "./crash/operation.ts";
import { Scene } from "./crash/scene.ts";
import type { Cast } from "./crash/survivors.ts";
import { tryOperation } from "./crash/trial.ts";

const operations: readonly Operation[] = [
  ...opening,
  ...calling,
  ...serving,
  ...repairing,
  ...waiting,
];

const everyRuntime: Cast = {
  title: "servers and clients of all runtimes",
  servers: runtimes,
  clients: runtimes,
  bystanders: [],
};

/** Every pair of runtimes is in one of them, in both orders. */
const duos: readonly Cast[] = runtimes.map((one, index) => {
  const duo = [one, runtimes[(index + 1) % runtimes.length]!];
  const title = `servers and clients of ${duo.join(" and ")}`;
  return { title, servers: duo, clients: duo, bystanders: [] };
});

const casts: readonly Cast[] = [
  everyRuntime,
  ...everyPair.map(({ server, client, title }): Cast => ({
    title,
    servers: [server],
    clients: [client],
    bystanders: [],
  })),
  {
    ...everyRuntime,
    title: `${everyRuntime.title}, beside others that are stopped`,
    bystanders: runtimes,
  },
];

const parent = process.env.TANDEM_DIR ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());

interface Arguments {
  readonly full: boolean;
  readonly list: boolean;
  readonly places: boolean;
  readonly only: string;
  readonly point: number | undefined;
  readonly seed: number;
}

function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      full: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      places: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      point: { type: "string" },
      seed: { type: "string" },
    },
  });
  const { full, list, places, only } = values;
  const point = values.point === undefined ? undefined : Number(values.point);
  if (point !== undefined && !(Number.isInteger(point) && point >= 1)) {
    throw new Error(`--point is the number of a point, 1 or more, not "${values.point}"`);
  }
  const seed = Number(values.seed ?? Math.floor(Math.random() * duos.length));
  if (!(Number.isInteger(seed) && seed >= 0)) {
    throw new Error(`--seed is a whole number, not "${values.seed}"`);
  }
  if (![...operations, ...limitOperations].some(({ name }) => name.includes(only))) {
    throw new Error(`no operation has "${only}" in its name; --list shows them all`);
  }
  return { full, list, places, only, point, seed };
}

/** The result of some operations. */
interface Result {
  readonly points: number;
  readonly failures: number;
}

/** Each operation meets one of the casts, in turn, beginning with the one of that number. */
async function tryAll(
  casts: readonly Cast[],
  first: number,
  chosen: readonly Operation[],
  point: number | undefined,
  places: boolean,
): Promise<Result> {
  console.log(`\n${casts.map(({ title }) => title).join("; ")}`);
  let points = 0;
  let failures = 0;
  const scenes = await Promise.all(casts.map(startScene));
  for (const [index, operation] of chosen.entries()) {
    const turn = (first + index) % casts.length;
    const scene = scenes[turn]!;
    try {
      const tried = await tryOperation(scene, operation, point);
      points += tried.points;
      console.log(`${String(tried.points).padStart(6)}  ${operation.name}`);
      if (places) { for (const place of tried.places) console.log(`        before ${place}`); }
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${error instanceof Error ? error.message : error}`);
      console.log(scene.cast.title);
      console.log(scene.describe());
      // Its faults must not spoil a later operation.
      await scene.end();
      scenes[turn] = await startScene(scene.cast);
    }
  }
  await Promise.all(scenes.map((scene) => scene.end()));
  return { points, failures };
}

/** The operations on limits; their survivors are processes like the victim. */
async function tryLimits(only: string, places: boolean): Promise<Result> {
  console.log("\ncontenders for a limit");
  let points = 0;
  let failures = 0;
  for (const operation of limitOperations.filter(({ name }) => name.includes(only))) {
    try {
      const died = await tryLimitOperation(operation, parent);
      points += died.length;
      console.log(`${String(died.length).padStart(6)}  ${operation.name}`);
      if (places) { for (const place of died) console.log(`        before ${place}`); }
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${error instanceof Error ? error.message : error}`);
    }
  }
  return { points, failures };
}

async function startScene(cast: Cast): Promise<Scene> {
  const scene = await Scene.create(cast, parent);
  await watchdog.tell(`folder ${scene.folder}`);
  return scene;
}

async function run(): Promise<void> {
  const { full, list, places, only, point, seed } = readArguments();
  const chosen = operations.filter(({ name }) => name.includes(only));
  const ofLimits = limitOperations.filter(({ name }) => name.includes(only));
  if (list) {
    for (const { name } of [...chosen, ...ofLimits]) console.log(name);
    return;
  }
  checkActor();
  const began = performance.now();
  let points = 0;
  let failures = 0;
  console.log(`crash: seed ${seed}`);
  for (const some of full ? casts.map((cast) => [cast]) : [duos]) {
    const result = await tryAll(some, seed, chosen, point, places);
    points += result.points;
    failures += result.failures;
  }
  const limits = await tryLimits(only, places);
  points += limits.points;
  failures += limits.failures;
  const seconds = Math.round((performance.now() - began) / 1000);
  const end = failures === 0 ? "all others went on" : `${failures} operations FAILED`;
  console.log(
    `\n${chosen.length + ofLimits.length} operations, ${points} deaths, ${seconds} s: ${end}`,
  );
  if (failures > 0) process.exitCode = 1;
}

const watchdog = startWatchdog();
try {
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
