/**
 * The pools that are compared: each runs a task on workers of its own.
 *
 * @module
 */

/** A pool that is open. */
export interface OpenPool {
  /** Runs the trivial task: it returns its number. */
  run(value: number): Promise<number>;
  /** Ends a worker from within a task. Resolves when the pool has noticed. */
  crash(): Promise<void>;
  close(): Promise<unknown>;
}

/** The workers of a pool. */
export interface PoolMode {
  /** How many workers, from the start on. */
  readonly workers: number;
  /** Further options of that pool, by its own names. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A module of this folder that opens pools of one kind. */
export interface PoolModule {
  open(mode: PoolMode): OpenPool | Promise<OpenPool>;
}

/** The kinds of pools. */
export type PoolKind = "tandem" | "piscina" | "tinypool" | "workerpool" | "forks";

/** Loads one kind alone, since the dependencies of others may be missing. */
export async function openPool(kind: PoolKind, mode: PoolMode): Promise<OpenPool> {
  const module = await import(`./${kind}.ts`) as PoolModule;
  return await module.open(mode);
}

/** Waits for a task that cannot succeed. */
export async function failing(task: PromiseLike<unknown>): Promise<void> {
  await task.then(
    () => {
      throw new Error("the task that ends its worker has returned");
    },
    () => {},
  );
}
