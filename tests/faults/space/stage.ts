/**
 * The stage of a case: a small file system, and the processes that work on it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { ErrorCode } from "../../../mod.ts";
import { fuzzer, programCommand, type Runtime, Talker } from "../talker.ts";
import type { Outcome, Step } from "./actor.ts";

/** This machine does not allow the case. */
export class Skipped extends Error {}

/** One process. */
export class Actor extends Talker {
  readonly #stage: Stage;

  constructor(stage: Stage, runtime: Runtime, role: string, env: Readonly<Record<string, string>>) {
    super(`${runtime} ${role}`, programCommand(runtime, "tests/faults/space/actor.ts"), env);
    this.#stage = stage;
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Runs a command that has to succeed. */
  async does(...step: Step): Promise<unknown> {
    this.start(...step);
    return await this.succeeds();
  }

  /** Starts a command whose outcome is read later or never. */
  start(...step: Step): void {
    this.send(JSON.stringify(step));
  }

  async succeeds(): Promise<unknown> {
    const outcome = await this.#outcome();
    if ("error" in outcome) throw new Error(`${this.title}: ${JSON.stringify(outcome.error)}`);
    return outcome.value;
  }

  /** Waits for an error with that code. */
  async fails(code: ErrorCode): Promise<void> {
    const outcome = await this.#outcome();
    if (!("error" in outcome)) throw new Error(`${this.title}: no ${code} but ${outcome.value}`);
    assertEquals(outcome.error.code, code, outcome.error.message);
  }

  /** Runs a command that has to fail for lack of space. */
  async isRefused(...step: Step): Promise<void> {
    this.start(...step);
    await this.fails("NO_SPACE");
    this.#stage.refusals += 1;
  }

  /** Waits until a command has that value; of an object, until one of its values is that. */
  async becomes(expected: unknown, ...step: Step): Promise<void> {
    const wanted = JSON.stringify(expected);
    for (;;) {
      const value = await this.does(...step);
      const values = Array.isArray(value) ? [value] : Object.values(value as object);
      if (values.some((each) => JSON.stringify(each) === wanted)) return;
      try {
        this.#stage.checkTime();
      } catch {
        throw new Error(`${this.title}: ${step} is ${JSON.stringify(value)}, never ${wanted}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #outcome(): Promise<Outcome> {
    return JSON.parse(await this.line(() => this.#stage.checkTime()));
  }
}

/** The time-out of one case, on a busy machine. */
const patience = 90_000;

export class Stage {
  readonly target: string;
  /** The number of NO_SPACE errors. */
  refusals = 0;
  readonly #folder: string;
  readonly #runtimes: { readonly server: Runtime; readonly client: Runtime };
  readonly #actors: Actor[] = [];
  readonly #mounts: string[] = [];
  readonly #cgroups: string[] = [];
  readonly #deadline = Date.now() + patience;
  #filler: string;

  constructor(folder: string, server: Runtime, client: Runtime) {
    this.#folder = folder;
    this.#runtimes = { server, client };
    this.target = join(folder, "channel.tandem");
    this.#filler = join(folder, "filler");
  }

  /** The path of another channel. */
  beside(name: string): string {
    return join(this.#folder, `${name}.tandem`);
  }

  checkTime(): void {
    if (Date.now() > this.#deadline) throw new Error("it hangs");
  }

  /** Mounts a file system of that size where the channel is. */
  mount(size: string): void {
    this.mountAt(size, this.#folder);
  }

  mountAt(size: string, place: string): void {
    const { status, stderr } = spawnSync(
      "mount",
      ["-t", "tmpfs", "-o", `mode=700,size=${size}`, "tmpfs", place],
      { encoding: "utf8" },
    );
    if (status !== 0) throw new Skipped(`this machine does not allow mounts: ${stderr}`);
    this.#mounts.push(place);
  }

  /** Takes the rest of the space. */
  fill(): void {
    const fd = openSync(this.#filler, "w");
    const page = new Uint8Array(4096);
    try {
      for (;;) writeSync(fd, page);
    } catch (error) {
      assertEquals((error as { code?: string }).code, "ENOSPC");
    } finally {
      closeSync(fd);
    }
  }

  /** There is space again. */
  free(): void {
    rmSync(this.#filler);
  }

  /** Scribbles over one field of the channel while `body` runs. */
  async scribble(field: string, body: () => Promise<void>): Promise<void> {
    const scribbler = new Talker("scribbler", [fuzzer, "--scribble", this.target, "--only", field]);
    try {
      assertEquals(await scribbler.line(() => this.checkTime()), "scribbling");
      await body();
    } finally {
      scribbler.kill();
      await scribbler.closed;
    }
  }

  /** The names of files where the channel is. */
  files(): string[] {
    return readdirSync(this.#folder);
  }

  async server(env: Readonly<Record<string, string>> = {}): Promise<Actor> {
    return await this.#start(this.#runtimes.server, "server", env);
  }

  async client(env: Readonly<Record<string, string>> = {}): Promise<Actor> {
    return await this.#start(this.#runtimes.client, "client", env);
  }

  async #start(
    runtime: Runtime,
    role: string,
    env: Readonly<Record<string, string>>,
  ): Promise<Actor> {
    const actor = new Actor(this, runtime, role, { TANDEM_DIR: this.#folder, ...env });
    this.#actors.push(actor);
    const said = JSON.parse(await actor.line(() => this.checkTime()));
    assertEquals(said, { runtime, pid: actor.pid });
    return actor;
  }

  /** Limits a process to that much more address space than it has now; null: no limit. */
  limitAddresses(actor: Actor, more: number | null): void {
    const status = readFileSync(`/proc/${actor.pid}/status`, "utf8");
    const has = Number(/^VmSize:\s+(\d+) kB/m.exec(status)![1]) * 1024;
    const limit = more === null ? "unlimited" : String(has + more);
    // Only the soft limit, which can be raised again.
    const command = [`--pid=${actor.pid}`, `--as=${limit}:`];
    const done = spawnSync("prlimit", command, { encoding: "utf8" });
    if (done.status !== 0) throw new Skipped(`no limit can be set: ${done.stderr ?? done.error}`);
  }

  /** Puts a process into its own cgroup with that much memory. */
  confine(actor: Actor, bytes: number): void {
    const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
    const first = lines.find((line) => line.split(":")[1] === "memory");
    const second = lines.find((line) => line.startsWith("0::"));
    const [parent, limit] = first
      ? [`/sys/fs/cgroup/memory${first.split(":")[2]}`, "memory.limit_in_bytes"]
      : [`/sys/fs/cgroup${second?.split(":")[2]}`, "memory.max"];
    const group = join(parent, `tandem-space-${actor.pid}`);
    try {
      mkdirSync(group);
      this.#cgroups.push(group);
      if (!existsSync(join(group, limit))) throw new Error(`${limit} is missing`);
      writeFileSync(join(group, limit), String(bytes));
      writeFileSync(join(group, "cgroup.procs"), String(actor.pid));
    } catch (error) {
      throw new Skipped(`no memory cgroup can be made: ${(error as Error).message}`);
    }
  }

  /** How often the cgroups of this stage were at their limits. */
  timesAtLimit(): number {
    return this.#cgroups.reduce((sum, group) => {
      const old = join(group, "memory.failcnt");
      if (existsSync(old)) return sum + Number(readFileSync(old, "utf8"));
      const events = readFileSync(join(group, "memory.events"), "utf8");
      return sum + Number(/^max (\d+)/m.exec(events)?.[1] ?? 0);
    }, 0);
  }

  async end(): Promise<void> {
    for (const actor of this.#actors) actor.kill();
    await Promise.all(this.#actors.map((actor) => actor.closed));
    for (const place of this.#mounts.reverse()) spawnSync("umount", [place]);
    for (const group of this.#cgroups) rmdirSync(group);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
