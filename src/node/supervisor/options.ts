/**
 * Options of supervisors.
 *
 * @module
 */
import { checkTimeout, checkWhole, describe } from "../../base/checks.ts";
import type { PortId } from "../ids.ts";
import type { Port } from "../ports/port.ts";

/** Something that a supervisor can watch and stop, such as a service, or another supervisor. */
export interface ChildHandle {
  /** Settles when it has ended; rejects if the end is abnormal. */
  readonly finished: PromiseLike<unknown>;
  /** Ends it. */
  close(): unknown;
}

/** What a child is: a port of this process, a port of any node by its id, or something else that ends. */
export type Child = Port | PortId | ChildHandle;

/**
 * When a child is started again: `permanent` whenever it has ended, `transient` if the end was abnormal, `temporary`
 * never.
 */
export type RestartKind = "permanent" | "transient" | "temporary";

/** A child of a supervisor. */
export interface ChildOptions {
  /** Unique among the children. */
  readonly name: string;
  /** Starts it, each time anew. */
  start(): Child | Promise<Child>;
  /**
   * When it is started again.
   *
   * @default "permanent"
   */
  readonly restart?: RestartKind;
}

/** Which children are started again when one has ended: it alone, all, or it and those after it in the list. */
export type Strategy = "one-for-one" | "one-for-all" | "rest-for-one";

/** Options of {@linkcode Supervisor}. */
export interface SupervisorOptions {
  /** In the order of their start. */
  readonly children: readonly ChildOptions[];
  /**
   * Which children are started again.
   *
   * @default "one-for-one"
   */
  readonly strategy?: Strategy;
  /**
   * The supervisor gives up, and stops all children, at one more restart within so many milliseconds.
   *
   * @default {{ restarts: 3, within: 5_000 }}
   */
  readonly intensity?: { readonly restarts?: number; readonly within?: number };
  /**
   * Milliseconds before a restart: `min` at first, twice as many each time after that, up to `max`. The count begins
   * anew when there was no restart for as long as `intensity.within`.
   *
   * @default {{ min: 0, max: 30_000 }}
   */
  readonly backoff?: { readonly min?: number; readonly max?: number };
  /**
   * How long to wait for a child that was told to end, in milliseconds.
   *
   * @default 5000
   */
  readonly stopTimeout?: number;
}

/** Options with their defaults. */
export interface SupervisorTerms {
  readonly children: readonly Required<ChildOptions>[];
  readonly strategy: Strategy;
  readonly restarts: number;
  readonly within: number;
  readonly backoffMin: number;
  readonly backoffMax: number;
  readonly stopTimeout: number;
}

const strategies: readonly string[] = ["one-for-one", "one-for-all", "rest-for-one"];
const restartKinds: readonly string[] = ["permanent", "transient", "temporary"];

/** @throws {TypeError} {RangeError} */
export function supervisorTerms(options: SupervisorOptions): SupervisorTerms {
  const { children, strategy = "one-for-one", intensity = {}, backoff = {} } = Object(
    options,
  ) as SupervisorOptions;
  if (!Array.isArray(children)) {
    throw new TypeError(`Cannot supervise ${describe(children)}: give a list of children`);
  }
  checkOneOf(strategy, strategies, "strategy");
  const { restarts = 3, within = 5_000 } = intensity;
  const { min = 0, max = 30_000 } = backoff;
  const names = new Set<string>();
  return {
    children: children.map((child) => childTerms(child, names)),
    strategy,
    restarts: restarts === Infinity
      ? restarts
      : checkWhole(restarts, "intensity.restarts", 0, 2 ** 31 - 1),
    within: finite(within, "intensity.within"),
    backoffMin: finite(min, "backoff.min"),
    backoffMax: finite(max, "backoff.max"),
    stopTimeout: checkTimeout(options.stopTimeout ?? 5_000, "stopTimeout"),
  };
}

function childTerms(child: ChildOptions, names: Set<string>): Required<ChildOptions> {
  const { name, restart = "permanent" } = Object(child) as ChildOptions;
  if (typeof name !== "string" || name === "" || names.has(name)) {
    throw new TypeError(
      `Cannot supervise a child named ${describe(name)}: give each a name of its own`,
    );
  }
  names.add(name);
  if (typeof child.start !== "function") {
    throw new TypeError(
      `Cannot start the child ${name} with ${
        describe(child.start)
      }: give a function that returns a port`,
    );
  }
  checkOneOf(restart, restartKinds, "restart");
  return { name, restart, start: () => child.start() };
}

function checkOneOf(value: unknown, known: readonly string[], name: string): void {
  if (known.includes(value as string)) return;
  throw new TypeError(`Cannot use ${describe(value)} as ${name}: give ${known.join(", ")}`);
}

function finite(value: number, name: string): number {
  if (!Number.isNaN(checkTimeout(value, name))) return value;
  throw new RangeError(`Cannot use ${value} as ${name}: give a finite number of milliseconds`);
}
