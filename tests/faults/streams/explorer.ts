/**
 * Tries orders of the steps of a scene. A scene cannot be copied, so each path begins anew; when all are tried, a state
 * that was seen before ends its path.
 *
 * @module
 */
import { Random } from "../hostile/random.ts";
import type { Sources } from "./build.ts";
import { hashOf } from "./digest.ts";
import { type Configuration, Scene } from "./scene.ts";
import { Violation } from "./world.ts";

export interface Found {
  readonly states: number;
  readonly steps: number;
  readonly paths: number;
  /** Not everything was tried. */
  readonly isCut: boolean;
  /** Null: all is as it has to be. */
  readonly violation: { readonly text: string; readonly trace: readonly string[] } | null;
}

/** A scene on its way, and what has happened in it. */
class Path {
  readonly scene: Scene;
  readonly trace: string[] = [];

  constructor(sources: Sources, configuration: Configuration) {
    this.scene = new Scene(sources, configuration);
    this.scene.check();
  }

  /** @param choice of the steps that may come next */
  take(choice: number): void {
    const step = this.scene.steps()[choice]!;
    this.trace.push(step.label);
    step.run();
    this.scene.check();
  }
}

/** What a path has run into; throws what is no violation of a rule, such as an error of the code that is explored. */
function violationOf(error: unknown, trace: readonly string[]): Found["violation"] {
  const text = error instanceof Violation
    ? error.message
    : `it has thrown: ${(error as Error).stack}`;
  return { text, trace };
}

/** Random paths to their ends. */
export function walk(
  sources: Sources,
  configuration: Configuration,
  paths: number,
  seed: number,
): Found {
  const random = new Random(seed);
  let steps = 0;
  for (let number = 1; number <= paths; number++) {
    let trace: readonly string[] = [];
    try {
      const path = new Path(sources, configuration);
      trace = path.trace;
      while (!path.scene.isSettled) path.take(random.below(path.scene.steps().length));
      steps += trace.length;
    } catch (error) {
      const violation = violationOf(error, trace);
      return { states: 0, steps, paths: number, isCut: true, violation };
    }
  }
  return { states: 0, steps, paths, isCut: true, violation: null };
}

/** All paths, as far as so many are enough. */
export function explore(sources: Sources, configuration: Configuration, pathsMax: number): Found {
  const seen = new Set<number>();
  const rest: number[][] = [[]];
  let [steps, paths] = [0, 0];
  let violation: Found["violation"] = null;
  while (violation === null && paths < pathsMax) {
    const prefix = rest.pop();
    if (!prefix) break;
    paths += 1;
    let trace: readonly string[] = [];
    try {
      const path = new Path(sources, configuration);
      trace = path.trace;
      for (const choice of prefix) path.take(choice);
      const choices = [...prefix];
      while (!path.scene.isSettled) {
        const state = hashOf(path.scene.digest);
        if (seen.has(state)) break;
        seen.add(state);
        for (let at = path.scene.steps().length - 1; at > 0; at--) rest.push([...choices, at]);
        choices.push(0);
        path.take(0);
      }
    } catch (error) {
      violation = violationOf(error, trace);
    }
    steps += trace.length;
  }
  return { states: seen.size, steps, paths, isCut: rest.length > 0, violation };
}
