/**
 * The process that dies: the library built with points of death, driven by lines of text. See
 * native/proof/crash/actor.zig for the commands.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Child } from "../../support/processes.ts";

const path = fileURLToPath(new URL("../../../zig-out/bin/tandem-crash", import.meta.url));

/** @throws when it has not been built */
export function checkActor(): void {
  assert(existsSync(path), `there is no ${path}: run \`zig build crash\``);
}

/** How an attempt to kill it ended. */
export type End =
  | { readonly died: true; readonly before: string }
  | { readonly died: false; readonly points: number; readonly results: readonly number[] };

/** The victim's process. */
export class Actor {
  readonly process: Child;
  readonly #target: string;

  /** @param target replaces `TARGET` in its commands */
  constructor(env: Readonly<Record<string, string>>, target: string) {
    this.#target = target;
    this.process = new Child("tandem-crash", path, [], env);
  }

  /** Runs a command of the preparation, and returns the library's result. */
  async prepare(command: string): Promise<number> {
    const line = this.#resolve(command);
    const answer = await this.process.ask<unknown>(line).catch((error) => {
      throw new Error(`"${command}" failed: ${error}`);
    });
    assert(typeof answer === "number", `"${command}" failed: ${answer}`);
    return answer;
  }

  /** Like {@linkcode prepare}, for commands whose result has to be one of `wanted`. */
  async expect(command: string, ...wanted: readonly number[]): Promise<void> {
    const result = await this.prepare(command);
    assert(wanted.includes(result), `"${command}" gave ${result}, not ${wanted.join(" or ")}`);
  }

  /** Starts a command that blocks. The victim takes no further command. */
  begin(command: string): void {
    this.process.send(this.#resolve(command));
  }

  #resolve(command: string): string {
    return command.replace("TARGET", this.#target);
  }

  /** Runs `commands` and dies at the `point`-th of their points, if there are that many. */
  async dieAt(point: number, commands: readonly string[]): Promise<End> {
    // All at once, without waiting between them.
    this.process.send(
      [`arm ${point}`, ...commands.map((command) => this.#resolve(command)), "disarm"].join("\n"),
    );
    const results: number[] = [];
    try {
      for (let index = 0; index < commands.length + 2; index++) {
        results.push(await this.process.message<number>());
      }
    } catch {
      return { died: true, before: await this.#checkDeath(point) };
    }
    this.process.end();
    // Without closing anything: like a death, but without the kernel's signal.
    await this.process.ended();
    return { died: false, points: results.at(-1)!, results: results.slice(1, -1) };
  }

  async #checkDeath(point: number): Promise<string> {
    const exit = await this.process.exited;
    await this.process.closed;
    assertEquals(exit, { code: null, signal: "SIGKILL" }, this.process.describe());
    const [, number, before] = /^died at point (\d+), before (.*)$/m.exec(this.process.stderr) ??
      [];
    assertEquals(Number(number), point, `it died, but not where it should: ${this.process.stderr}`);
    return before!;
  }

  /** Kills it from outside, wherever it is. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
    await this.process.closed;
  }
}
