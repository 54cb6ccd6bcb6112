/**
 * A process with one node after another, each of which finds all others of its kind and does a bit of everything with
 * them.
 *
 *     dweller.ts PLAN
 *
 * Its node sends numbered messages, calls, monitors every port that it finds, sets and deletes entries of the registry,
 * and claims keys. Whatever is wrong ends the process at once: a hole, a wrong answer, the end of a port that lives, a
 * second end of one that does not. It tells its {@linkcode Report} on the command `"report"`; the others are in
 * {@linkcode DwellerCommand}.
 *
 * @module
 */
import process from "node:process";
import { begin, fault, obey } from "./program.ts";
import { Claims } from "./claims.ts";
import { Dweller, type DwellerPlan } from "./dwelling.ts";

export type DwellerCommand =
  | "report"
  /** Stops what it does, and waits for what is under way. */
  | "rest"
  /** From now on nothing is wrong, except that the process crashes or does not answer. */
  | "endure"
  /** Says good-bye. */
  | "close"
  /** Starts another node, with the same name. */
  | "open"
  /** Claims each key, and gives it back. */
  | "claim all";

const plan = begin<DwellerPlan>();
let starts = 0;
let dweller = await start();

function start(): Promise<Dweller> {
  // Another one in each start, which the seed decides.
  starts += 1;
  return Dweller.start({ ...plan, seed: plan.seed + starts * 1_000 });
}

async function answer(command: DwellerCommand): Promise<unknown> {
  switch (command) {
    case "report":
      return dweller.report();
    case "rest":
      return void await dweller.rest();
    case "endure":
      return void dweller.endure();
    case "close":
      return void await dweller.close();
    case "open":
      dweller = await start();
      return;
    case "claim all":
      return void await Claims.all(dweller.node, plan);
    default:
      return fault(`process ${process.pid} does not know the command`, command);
  }
}

obey<DwellerCommand>(answer);
