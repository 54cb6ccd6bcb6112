/**
 * A worker of a pool of this package.
 *
 * @module
 */
import process from "node:process";
import { work } from "../../src/pool/main.ts";

const tasks = {
  echo: (value: number): number => value,
  crash: (): never => process.exit(70),
};
/** What the workers do. */
export type Tasks = typeof tasks;

work(tasks);
