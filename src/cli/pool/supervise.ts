/**
 * Runs a pool, does what signals ask for, and tells what happens.
 *
 * @module
 */
import process from "node:process";
import { Pool, type PoolOptions, type WorkerEvent, type WorkerExit } from "@tandem/ipc/pool";
import { keepAlive, laterForSure } from "../../runtime/timers.ts";
import type { Context } from "../context.ts";
import { LogLines } from "../log_lines.ts";
import { messageOf } from "../messages.ts";
import { RepeatedCommand } from "../repeated_command.ts";
import { ServiceManager } from "../service_manager.ts";
import type { SupervisorSettings } from "./settings.ts";

/** What a supervisor has to know beside its worker file. */
export type SuperviseSettings = PoolOptions & Omit<SupervisorSettings, "pidFile">;

/** Runs a pool. Resolves when a signal has ended it. */
export async function supervise(
  context: Context,
  file: URL,
  { log = "text", logLevel = "info", ...settings }: SuperviseSettings,
): Promise<void> {
  // Who reads the log may leave. The pool goes on.
  process.stderr.on("error", () => {});
  using manager = new ServiceManager(process.env);
  using signals = new Signals();
  const lines = new LogLines(context, log, logLevel);
  const supervisor = new Supervisor(file, settings, lines, manager);
  signals.pass((signal) => supervisor.heed(signal));
  // A pool without a target lets its process end when it has no calls.
  const release = keepAlive();
  try {
    await supervisor.ended;
  } finally {
    release();
  }
}

const heeded = ["SIGTTIN", "SIGTTOU", "SIGHUP", "SIGQUIT", "SIGTERM", "SIGINT"] as const;

type Heeded = typeof heeded[number];

/** The signals of this process. Those that come before somebody listens wait. */
class Signals implements Disposable {
  readonly #early: Heeded[] = [];
  #listener: (signal: Heeded) => void = (signal) => this.#early.push(signal);
  readonly #handlers = heeded.map((signal) => [signal, () => this.#listener(signal)] as const);

  constructor() {
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  pass(listener: (signal: Heeded) => void): void {
    this.#listener = listener;
    for (const signal of this.#early) listener(signal);
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }
}

class Supervisor {
  /** Resolves when the pool has ended. */
  readonly ended: Promise<void>;
  readonly #pool: Pool<Record<never, never>>;
  readonly #sideTask: RepeatedCommand | null;
  readonly #lines: LogLines;
  readonly #manager: ServiceManager;
  readonly #stopTimeout: number;
  readonly #least: { min: number; readonly max: number };
  #isReady = false;
  /** The first workers could not start in time. The pool goes on trying. */
  #isLate = false;
  #isStopping = false;
  /** How many more times the workers have to be replaced. */
  #restarts = 0;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(
    file: URL,
    { sideTask, sideTaskEvery, ...options }: PoolOptions & SupervisorSettings,
    lines: LogLines,
    manager: ServiceManager,
  ) {
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#lines = lines;
    this.#manager = manager;
    this.#stopTimeout = options.stopTimeout ?? 30_000;
    this.#pool = new Pool(file, { ...options, title: true });
    this.#pool.onLog((record) => lines.record(record));
    this.#pool.onWorker((event) => this.#tell(event));
    this.#pool.finished.then(() => this.#finished());
    this.#pool.ready.then(() => this.#becomeReady(), (error) => this.#complain(error));
    const { min, max } = this.#pool.stats();
    this.#least = { min, max };
    this.#sideTask = sideTask === undefined ? null : this.#runBeside(sideTask, sideTaskEvery);
  }

  #runBeside(command: string, period: number | undefined): RepeatedCommand {
    const lines = this.#lines;
    return new RepeatedCommand(["sh", "-c", command], { period }, {
      output: (line) => lines.say("info", "side task", line),
      ended: (how, pause, hasFailed) => {
        const level = hasFailed ? "warning" : "info";
        lines.say(level, "side task", `ended ${how}; runs again in ${Math.round(pause!)} ms`);
      },
    });
  }

  /** Does what a signal asks for. */
  heed(signal: Heeded): void {
    switch (signal) {
      case "SIGTTIN":
        return this.#changeMin(1);
      case "SIGTTOU":
        return this.#changeMin(-1);
      case "SIGHUP":
        return this.#replace();
      case "SIGQUIT":
        return this.#stop(this.#isStopping);
      case "SIGTERM":
      case "SIGINT":
        return this.#stop(true);
    }
  }

  #changeMin(step: number): void {
    const min = Math.max(this.#least.min + step, 0);
    // It follows upwards, and back.
    const max = Math.max(this.#least.max, min);
    try {
      this.#pool.resize({ min, max });
    } catch (error) {
      return this.#say("warning", messageOf(error));
    }
    this.#least.min = min;
    this.#say("info", `keeps at least ${min} and at most ${max} workers`);
  }

  #replace(): void {
    // One more time is enough for any number of signals: it begins after all of them.
    this.#restarts = Math.min(this.#restarts + 1, 2);
    if (this.#restarts === 1) void this.#replaceAll();
  }

  async #replaceAll(): Promise<void> {
    while (this.#restarts > 0 && !this.#isStopping) {
      this.#say("info", "replaces the workers");
      if (this.#isReady) this.#manager.tellReloading();
      try {
        await this.#pool.restart();
        this.#say("info", "has replaced the workers");
      } catch (error) {
        if (!this.#isStopping) {
          this.#say(
            "error",
            `could not replace the workers; the old ones go on: ${messageOf(error)}`,
          );
        }
      }
      if (this.#isReady && !this.#isStopping) this.#manager.tell({ READY: 1 });
      this.#restarts--;
    }
  }

  #stop(isAtOnce: boolean): void {
    if (isAtOnce) this.#sideTask?.kill();
    if (this.#isStopping) return void this.#pool.close({ timeout: 0 });
    this.#isStopping = true;
    this.#say("info", "stops");
    this.#manager.tell({ STOPPING: 1, STATUS: "Waits for calls to end" });
    this.#end(isAtOnce).then(this.#resolve, this.#reject);
  }

  #finished(): void {
    if (this.#isStopping) return;
    this.#say("info", "has handed its target over");
    this.#stop(false);
  }

  async #end(isAtOnce: boolean): Promise<void> {
    const taskEnd = this.#sideTask?.stop();
    const cancel = this.#stopTimeout === Infinity
      ? undefined
      : laterForSure(this.#stopTimeout, () => this.#sideTask?.kill());
    await this.#pool.close(isAtOnce ? { timeout: 0 } : {});
    await taskEnd;
    cancel?.();
  }

  #becomeReady(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#manager.tell({ READY: 1 });
    this.#say("info", "is ready");
  }

  #complain(error: unknown): void {
    this.#isLate = true;
    if (!this.#isStopping) this.#say("error", messageOf(error));
  }

  #tell({ kind, worker: { number, pid, runtime }, exit }: WorkerEvent): void {
    const who = `worker ${number} (${runtime}, process ${pid})`;
    if (kind === "starting") this.#say("debug", `${who} starts`);
    else if (kind === "ready") this.#say("info", `${who} is ready`);
    else if (exit && isOrderly(exit)) this.#say("info", `${who} has ended`);
    else if (exit) {
      // A pool that stops kills those that have not been ready yet, or take too long.
      this.#say(this.#isStopping ? "info" : "warning", `${who} has ended: ${describe(exit)}`);
    }
    if (this.#isStopping) return;
    const { idle, busy, min } = this.#pool.stats();
    this.#manager.tell({ STATUS: `${idle + busy} workers take calls` });
    if (kind === "ready" && this.#isLate && idle + busy >= min) this.#becomeReady();
  }

  #say(level: "debug" | "info" | "warning" | "error", message: string): void {
    this.#lines.say(level, "supervisor", message);
  }
}

function isOrderly({ reason, code }: WorkerExit): boolean {
  return reason === "exit" && code === 0;
}

function describe({ reason, code, signal }: WorkerExit): string {
  return `${reason}, ${signal ?? `exit code ${code}`}`;
}
