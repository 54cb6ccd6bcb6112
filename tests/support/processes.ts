/**
 * Other processes: how they are started, talked to by lines, waited for and looked at.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { checkout, runtimePath, toolCommand } from "../../scripts/tools.ts";
import { backend } from "../../src/runtime/current.ts";
import { type RuntimeName, runtimeNames, startProcess } from "../../src/runtime/processes.ts";

export { runtimePath };

/** The runtimes that everything is tested in. */
export type Runtime = RuntimeName;

/** The runtime that runs this. */
export const runtime: Runtime = backend().name;

/** For tests in which this process is the other side, and for those in which all take part. */
export const runtimes: readonly Runtime[] = runtimeNames;

/** Who serves and who calls. */
export interface Pair {
  readonly server: Runtime;
  readonly client: Runtime;
  /** `"deno serves bun"`, for the names of tests. */
  readonly title: string;
}

/** Every ordered pair of runtimes. */
export const everyPair: readonly Pair[] = runtimes.flatMap((server) =>
  runtimes.map((client) => ({ server, client, title: `${server} serves ${client}` }))
);

/** The pairs that this suite tests: its own runtime calls. The suites of the others test the rest. */
export const pairs: readonly Pair[] = everyPair.filter(({ client }) => client === runtime);

/** For tests in which one runtime meets only itself: each suite tests its own. */
export const ownRuntime: readonly [Runtime] = [runtime];

let watchdog: Watchdog | undefined;

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process that this one has started, talking by lines on its stdin and stdout. */
export class Child {
  readonly pid: number;
  /** By which the program knows itself: another number in a namespace of process ids. */
  ownPid: number | undefined;
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  /** Resolves when all it wrote has been read, too. */
  readonly closed: Promise<void>;
  readonly #title: string;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];
  readonly #readers: ((line: string | null) => void)[] = [];
  #exit: Exit | undefined;
  #isClosed = false;
  #stderr = "";

  constructor(
    title: string,
    path: string,
    args: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
    inherit: readonly number[] = [],
    cwd: string = checkout,
  ) {
    this.#title = title;
    const stdio: ("pipe" | number)[] = ["pipe", "pipe", "pipe", ...inherit];
    const child = startProcess({ program: path, args }, { cwd, env, stdio });
    assert(child.pid !== undefined && child.stdout && child.stderr && child.stdin, path);
    this.#process = child;
    this.pid = child.pid;
    watchdog?.note(`child ${child.pid}`);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        watchdog?.note(`gone ${child.pid}`);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    this.closed = new Promise((resolve) => child.once("close", () => resolve()));
    // Who was killed does not read what is still on its way.
    child.stdin.on("error", () => {});
    child.stderr.setEncoding("utf8").on("data", (text: string) => this.#stderr += text);
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line: string) => {
      const reader = this.#readers.shift();
      if (reader) reader(line);
      else this.#lines.push(line);
    });
    lines.on("close", () => {
      this.#isClosed = true;
      for (const reader of this.#readers.splice(0)) reader(null);
    });
  }

  /** The next line that it writes. Rejects when it ends without one. */
  async line(): Promise<string> {
    const line = this.#lines.shift() ?? await this.#nextLine();
    if (line !== null) return line;
    await this.exited;
    await this.closed;
    throw new Error(`no further line from ${this.describe()}`);
  }

  #nextLine(): Promise<string | null> {
    if (this.#isClosed) return Promise.resolve(null);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  /** The next line as JSON. */
  async message<T = unknown>(): Promise<T> {
    return JSON.parse(await this.line());
  }

  /** Asserts what the next line is. */
  async expect(line: string): Promise<void> {
    assertEquals(await this.line(), line);
  }

  /** Writes a line, or a value as JSON. */
  send(message: unknown): void {
    const line = typeof message === "string" ? message : JSON.stringify(message);
    this.#process.stdin?.write(`${line}\n`);
  }

  /** {@linkcode send}, and the answer, which is one line of JSON. */
  ask<T = unknown>(message: unknown): Promise<T> {
    this.send(message);
    return this.message<T>();
  }

  /** Nothing more will be written. */
  end(): void {
    this.#process.stdin?.end();
  }

  /** The tests' process ends without waiting for this one. */
  unref(): void {
    this.#process.unref();
    const { stdin, stdout, stderr } = this.#process;
    for (const pipe of [stdin, stdout, stderr]) (pipe as unknown as { unref?(): void }).unref?.();
  }

  kill(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGTERM" | "SIGINT" | "SIGUSR2"): void {
    if (this.#exit) return;
    // Not `this.#process.kill`: it refuses once a signal has been sent.
    try {
      process.kill(this.pid, signal);
    } catch {
      // It has ended, and the news is on its way.
    }
  }

  /** Stops it (SIGSTOP) and waits until it stands still. */
  async stopped(): Promise<void> {
    this.kill("SIGSTOP");
    await eventually(() => processState(this.pid).state === "T", "the process stands still");
  }

  /** Kills it and waits until it is gone. */
  async killed(): Promise<void> {
    this.kill("SIGKILL");
    assertEquals(await this.exited, { code: null, signal: "SIGKILL" });
  }

  /** Waits until it has ended by itself, as it should. */
  async ended(): Promise<void> {
    const exit = await this.exited;
    await this.closed;
    assertEquals(exit, { code: 0, signal: null }, this.describe());
  }

  get isRunning(): boolean {
    return this.#exit === undefined;
  }

  /** What it wrote to stderr so far. */
  get stderr(): string {
    return this.#stderr;
  }

  describe(): string {
    const state = this.#exit ? `ended with ${JSON.stringify(this.#exit)}` : "running";
    return [`${this.#title} (${state})`, ...this.#lines, this.#stderr].join("\n").trimEnd();
  }
}

/** Waits until `condition` holds. */
export async function eventually(
  condition: () => unknown | Promise<unknown>,
  what?: string,
): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (let pause = 1; !(await condition()); pause = Math.min(pause * 2, 20)) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what ?? condition}`);
    await sleep(pause);
  }
}

/**
 * Makes `attempt` with longer and longer times until it says that its time was long enough: where something has to
 * begin before a time is over. A busy machine may stand still for longer than any certain time.
 */
export async function longEnough(
  milliseconds: number,
  attempt: (milliseconds: number) => Promise<boolean>,
): Promise<void> {
  for (let time = milliseconds; !(await attempt(time)); time *= 2);
}

/** Only where a condition is waited for, or where the passing of time is what is tested. */
/** Keeps this thread busy until a process is dead, also while the runtime of this process cannot hear of it. */
export function blockUntilDead(pid: number): void {
  const patience = Date.now() + 60_000;
  while (!isDead(pid)) assert(Date.now() < patience, `${pid} dies`);
}

function isDead(pid: number): boolean {
  try {
    // Its first thread may be gone before the others, which keep its files open.
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8")) &&
      readdirSync(`/proc/${pid}/task`).length === 1;
  } catch {
    return true;
  }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** What the kernel knows of a process. */
export interface ProcessState {
  /** `R` running, `S` sleeping, `T` stopped, `Z` ended. */
  readonly state: string;
  /** Times that any of its threads went to sleep. */
  readonly sleeps: number;
  /** Processor time of all its threads. */
  readonly cpuMilliseconds: number;
  readonly residentBytes: number;
  readonly threads: number;
  readonly descriptors: number;
  /** The lines of /proc/PID/maps. */
  readonly mappings: readonly string[];
}

/** Reads /proc. */
export function processState(pid: number): ProcessState {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, in parentheses, may contain anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const millisecondsPerTick = 10;
  return {
    state: fields[0]!,
    sleeps: sleepsOf(pid),
    cpuMilliseconds: (Number(fields[11]) + Number(fields[12])) * millisecondsPerTick,
    residentBytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
    threads: readdirSync(`/proc/${pid}/task`).length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    mappings: readFileSync(`/proc/${pid}/maps`, "utf8").trimEnd().split("\n"),
  };
}

function sleepsOf(pid: number): number {
  let sum = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
      sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    }
  } catch {
    // A thread or the process ended meanwhile.
  }
  return sum;
}

/**
 * Waits until a process has nothing more to do for now: none of its threads runs or waits for a processor, and all of
 * them sleep on, but for the few times a second at which a blocking wait looks for the dead.
 */
export async function settled(child: Child): Promise<void> {
  const pause = 25;
  let before = -Infinity;
  let time = 0;
  await eventually(async () => {
    if (!child.isRunning) return true;
    const now = sleepsOf(child.pid);
    // On a busy machine the pause is longer than it says.
    const isCalm = now - before <= Math.max(2, (performance.now() - time) / 20);
    if (isCalm && !isAwake(child.pid)) return true;
    before = now;
    time = performance.now();
    await sleep(pause);
    return false;
  }, "a process comes to rest");
}

/** Whether a thread of a process runs, waits for a processor or for a disk. */
function isAwake(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      return "RD".includes(stat.charAt(stat.lastIndexOf(")") + 2));
    });
  } catch {
    return true; // A thread or the process ended meanwhile.
  }
}

/** Looks after this process from outside; see fixtures/watchdog.ts. */
export interface Watchdog {
  /** Resolves when the line is on its way. */
  tell(line: string): Promise<void>;
  note(line: string): void;
}

/** Starts the watchdog, which is told of every child from then on. */
export function startWatchdog(): Watchdog {
  const program = new URL("../fixtures/watchdog.ts", import.meta.url);
  const flags = ["--no-config", "--allow-all"];
  const child = startProcess(toolCommand(runtime, program, [String(process.pid)], flags), {
    cwd: checkout,
    // It outlives the runner for a moment, which must not look as if a test had left it behind.
    env: { TANDEM_TEST_RUN: undefined },
    stdio: ["pipe", "ignore", "inherit"],
    isDetached: true,
  });
  child.unref();
  const { stdin } = child;
  assert(stdin);
  (stdin as unknown as { unref?(): void }).unref?.();
  const tell = (line: string) =>
    new Promise<void>((resolve, reject) => {
      stdin.write(`${line}\n`, (error) => error ? reject(error) : resolve());
    });
  watchdog = { tell, note: (line) => void tell(line).catch(() => {}) };
  return watchdog;
}
