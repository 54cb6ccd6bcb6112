/**
 * What `tandem node run` does: runs modules as nodes, each in a process of its own, and starts them again.
 *
 * @module
 */
import process from "node:process";
import type { LogLevel } from "@tandem/ipc/pool";
import { Node } from "@tandem/ipc/node";
import { keepAlive, laterForSure, wallClock } from "../../runtime/timers.ts";
import type { Context } from "../context.ts";
import { CommandFailure, ExitCode } from "../exit_codes.ts";
import { LogLines } from "../log_lines.ts";
import { type OutputStream, RepeatedCommand } from "../repeated_command.ts";
import { ServiceManager } from "../service_manager.ts";
import { EndingSignals } from "../signals.ts";
import type { RestartRule, RunFlags } from "./flags.ts";
import type { RunnerPort } from "./host.ts";
import { LogDesk } from "./log_desk.ts";
import { ownCommand } from "./own_command.ts";
import { type Service, servicesOf } from "./services.ts";

/** Who speaks for the command itself. */
const ownName = "run";

/** So many bytes of lines wait for each of those who follow them. */
const maxQueueBytes = 2 ** 22;

/** Runs services until a signal ends them, or all have ended. */
export async function runServices(
  this: Context,
  flags: RunFlags,
  ...args: readonly string[]
): Promise<void> {
  const services = servicesOf(flags);
  // Who reads the log may leave. The services go on.
  process.stderr.on("error", () => {});
  using manager = new ServiceManager(process.env);
  let runner: Runner | null = null;
  let isEarly = false;
  using _signals = new EndingSignals((isAgain) => {
    if (runner) runner.stop(isAgain);
    else isEarly = true;
  });
  await using node = await Node.start({ name: ownName, group: flags.group, maxQueueBytes });
  const logLevel = flags.logLevel ?? (flags.trace ? "debug" : "info");
  runner = new Runner(node, flags, new LogLines(this, flags.log, logLevel), manager);
  runner.start(services, args);
  if (isEarly) runner.stop(false);
  const release = keepAlive();
  const failed = await runner.ended;
  release();
  if (failed.length === 0) return;
  throw new CommandFailure(
    `services have failed: ${failed.join(", ")}; the lines above say why`,
    ExitCode.failed,
  );
}

class Runner {
  /** Resolves to the names of those that have failed, and were not to start again. */
  readonly ended: Promise<string[]>;
  readonly #flags: RunFlags;
  readonly #lines: LogLines;
  readonly #manager: ServiceManager;
  readonly #desk: LogDesk;
  readonly #port: string;
  /** Those that run, or will run again. */
  readonly #running: Map<string, RepeatedCommand> = new Map();
  readonly #waitedFor: Set<string> = new Set();
  readonly #failed: string[] = [];
  #isStopping = false;
  #resolve!: (failed: string[]) => void;

  constructor(node: Node, flags: RunFlags, lines: LogLines, manager: ServiceManager) {
    this.ended = new Promise((resolve) => this.#resolve = resolve);
    this.#flags = flags;
    this.#lines = lines;
    this.#manager = manager;
    this.#desk = new LogDesk(node);
    const port = node.port<RunnerPort>({ started: (name, id) => this.#started(name, id) });
    // What it does not understand must not end it.
    port.onMessage(() => {});
    this.#port = port.id;
  }

  start(services: readonly Service[], args: readonly string[]): void {
    for (const { name } of services) this.#waitedFor.add(name);
    for (const service of services) this.#running.set(service.name, this.#run(service, args));
  }

  #run({ name, module }: Service, args: readonly string[]): RepeatedCommand {
    const { group, restart, trace } = this.#flags;
    const command = ownCommand([
      ...["node", "host", "--name", name, "--group", group, "--runner", this.#port],
      ...(trace ? ["--trace"] : []),
      ...["--", module, ...args],
    ]);
    return new RepeatedCommand(command, { isWanted: (hasFailed) => isWanted(restart, hasFailed) }, {
      output: (line, stream) => this.#output(name, line, stream),
      ended: (how, pause, hasFailed) => this.#ended(name, how, pause, hasFailed),
    });
  }

  /** @param isAtOnce a second signal has come */
  stop(isAtOnce: boolean): void {
    if (isAtOnce) return this.#kill();
    this.#isStopping = true;
    this.#manager.tell({ STOPPING: 1 });
    this.#say("info", ownName, "stops");
    const { stopTimeout } = this.#flags;
    const cancel = stopTimeout === Infinity ? () => {} : laterForSure(stopTimeout, () => {
      this.#say("warning", ownName, "kills what has not ended in time (--stop-timeout)");
      this.#kill();
    });
    const stops = [...this.#running.values()].map((command) => command.stop());
    void Promise.all(stops).then(() => {
      cancel();
      this.#resolve([]);
    });
  }

  #kill(): void {
    for (const command of this.#running.values()) command.kill();
  }

  #started(name: string, node: string): void {
    this.#say("info", ownName, `${name} has started as ${node}`);
    if (!this.#waitedFor.delete(name) || this.#waitedFor.size > 0) return;
    this.#manager.tell({ READY: 1 });
  }

  #ended(name: string, how: string, pause: number | null, hasFailed: boolean): void {
    const next = pause === null ? "" : `; starts again in ${Math.round(pause)} ms`;
    this.#say(hasFailed ? "warning" : "info", ownName, `${name} has ended ${how}${next}`);
    if (pause !== null) return;
    this.#running.delete(name);
    if (hasFailed) this.#failed.push(name);
    if (this.#running.size === 0 && !this.#isStopping) this.#resolve(this.#failed);
  }

  #output(name: string, line: string, stream: OutputStream): void {
    // As for the journal, sd-daemon(3): a line may begin with its level.
    const [, digit, message] = /^<([0-7])>(.*)$/.exec(line) ?? [];
    if (digit === undefined) this.#say(stream === "stdout" ? "info" : "warning", name, line);
    else this.#say(levelsOfJournal[Number(digit)]!, name, message!);
  }

  #say(level: LogLevel, source: string, message: string): void {
    const time = wallClock();
    this.#lines.say(level, source, message, time);
    this.#desk.add({ level, source, message, time });
  }
}

const levelsOfJournal: readonly LogLevel[] = [
  "error",
  "error",
  "error",
  "error",
  "warning",
  "info",
  "info",
  "debug",
];

function isWanted(rule: RestartRule, hasFailed: boolean): boolean {
  return rule === "always" || (rule === "on-failure" && hasFailed);
}
