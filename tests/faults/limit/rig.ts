/**
 * What the scenes of the proof of limits share.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { Contender } from "../../support/contender.ts";
import { Child } from "../../support/processes.ts";
import { Random } from "../chaos/random.ts";
import { programCommand, type Runtime } from "../talker.ts";

/** A scene's folder, processes and decisions. */
export class Rig {
  readonly folder: string = mkdtempSync("/dev/shm/tandem-limit-");
  readonly seed: number;
  readonly isFull: boolean;
  readonly random: Random;
  readonly children: ChildProcess[] = [];
  readonly contenders: Contender[] = [];
  readonly #listeners: Child[] = [];
  /** How long something may take on a busy machine before it counts as never. */
  readonly patience: number = 60_000;

  constructor(seed: number, stream: number, isFull: boolean) {
    this.seed = seed;
    this.isFull = isFull;
    this.random = new Random(seed, stream);
  }

  /** The number for the full proof, or the one for every day. */
  size(full: number, bounded: number): number {
    return this.isFull ? full : bounded;
  }

  async contender(
    runtime: Runtime,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Contender> {
    const [program, ...args] = programCommand(runtime, "tests/fixtures/limit/contender.ts");
    const child = new Child(`${runtime} contender`, program, args, { NO_COLOR: "1", ...env });
    await child.message();
    const contender = new Contender(child);
    this.contenders.push(contender);
    return contender;
  }

  /** A process that listens to a Unix socket with a silent client, and does not use this package's waits. */
  async listener(
    runtime: Runtime,
    path: string,
    env: Readonly<Record<string, string>>,
  ): Promise<Child> {
    const [program, ...args] = programCommand(runtime, "tests/fixtures/idle.ts");
    const child = new Child(`${runtime} listener`, program, [...args, path, "socket"], {
      NO_COLOR: "1",
      ...env,
    });
    this.#listeners.push(child);
    await child.message();
    await child.expect("socket");
    return child;
  }

  async end(): Promise<void> {
    for (const child of this.#listeners) child.kill("SIGKILL");
    await Promise.all(this.#listeners.map(({ exited }) => exited));
    for (const child of this.children) child.kill("SIGKILL");
    for (const { child } of this.contenders) child.kill("SIGKILL");
    await Promise.all(this.contenders.map(({ child }) => child.exited));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export async function until(
  condition: () => boolean,
  what: string | (() => string),
  patience = 60_000,
): Promise<void> {
  const deadline = performance.now() + patience;
  while (!condition()) {
    if (performance.now() > deadline) {
      throw new Error(`never happened: ${typeof what === "string" ? what : what()}`);
    }
    await pause(1);
  }
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
