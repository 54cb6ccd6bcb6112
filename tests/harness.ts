/**
 * What the tests share, so that each runs unchanged under `deno test` and under `bun test`: how a
 * test is registered, watched and cleaned up after, and how it starts other processes.
 *
 * Tests wait for conditions and never assert a maximum time. Whatever a test started is gone when
 * it ends: processes, files, descriptors.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type ChildProcess, spawn as spawnProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type ChannelOptions, type ErrorCode, Server, TandemError } from "../mod.ts";

/** The runtimes that everything is tested in. */
export type Runtime = "deno" | "bun";

/** Who serves and who calls. */
export interface Pair {
  readonly server: Runtime;
  readonly client: Runtime;
  /** `"deno serves bun"`, for the names of tests. */
  readonly title: string;
}

/** The runtime that runs this test. */
export const runtime: Runtime = "Bun" in globalThis ? "bun" : "deno";

export const runtimes: readonly Runtime[] = ["deno", "bun"];

/** Every ordered pair of runtimes. */
export const pairs: readonly Pair[] = runtimes.flatMap((server) =>
  runtimes.map((client) => ({ server, client, title: `${server} serves ${client}` }))
);

const repository = fileURLToPath(new URL("..", import.meta.url));
const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));

checkRuntime();

/** How long a test may take before it counts as hanging. */
const patience = 60_000;

// Memory where there is any: channels are made for it.
const parent = process.env.TANDEM_DIR ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
const watchdog = startWatchdog();

// It stays loaded, which is no leak of the test that happens to be the first.
loadLibrary();

/** The test that runs. Both runners run one after the other. */
let current: Scope | undefined;

/** What one test owns. */
class Scope {
  readonly folder: string = mkdtempSync(join(parent, "tandem-test-"));
  readonly children: Child[] = [];
  channels = 0;

  killChildren(): void {
    for (const child of this.children) child.kill("SIGKILL");
  }

  async end(): Promise<void> {
    this.killChildren();
    await Promise.all(this.children.map((child) => child.closed));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

interface BunTest {
  test(name: string, body: () => Promise<void>, timeout: number): void;
}

interface DenoTest {
  test(definition: {
    name: string;
    fn: () => Promise<void>;
    sanitizeOps: boolean;
    sanitizeResources: boolean;
    sanitizeExit: boolean;
  }): void;
}

// A name that is computed, so that Deno does not look for the module.
const bunTest = runtime === "bun" ? await import(["bun", "test"].join(":")) as BunTest : undefined;
const { Deno: denoTest } = globalThis as unknown as { Deno: DenoTest };

/** What a test may ask of the harness. */
export interface TestOptions {
  /** Milliseconds before it counts as hanging. */
  readonly timeout?: number;
}

/** Registers a test. */
export function test(
  name: string,
  body: () => void | Promise<void>,
  { timeout = patience }: TestOptions = {},
): void {
  const fn = () => runTest(name, body, timeout);
  // The runner's own limit only as a last resort: it would leave processes behind.
  if (bunTest) bunTest.test(name, fn, timeout + 60_000);
  else denoTest.test({ name, fn, sanitizeOps: true, sanitizeResources: true, sanitizeExit: true });
}

async function runTest(
  name: string,
  body: () => void | Promise<void>,
  timeout: number,
): Promise<void> {
  const scope = new Scope();
  current = scope;
  // Written out before the test may block this thread.
  await watchdog.tell(`folder ${scope.folder}`);
  await watchdog.tell(`start ${timeout / 1000 + 20} ${name}`);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const diary = scope.children.map((child) => child.describe());
      scope.killChildren();
      reject(new Error([`"${name}" hangs`, ...diary].join("\n")));
    }, timeout);
  });
  try {
    await Promise.race([body(), hang]);
  } finally {
    clearTimeout(timer);
    await scope.end();
    current = undefined;
    await watchdog.tell("end");
  }
}

function scope(): Scope {
  assert(current, "only while a test runs");
  return current;
}

/** A folder of this test's own. */
export function folder(): string {
  return scope().folder;
}

/** The path of a channel, or of any other file, that does not exist yet. */
export function newTarget(): string {
  const { folder, channels } = scope();
  scope().channels = channels + 1;
  return join(folder, `channel-${channels}.tandem`);
}

/** How a process is started. */
export interface SpawnOptions {
  /** What Deno lets it do, and other flags of `deno run`; default: exactly what the core needs. */
  readonly denoPermissions?: readonly string[];
  /** Added to the environment; `undefined` removes. `TANDEM_DIR` is the test's folder. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * A command that starts the program, `nsenter` for example. The {@linkcode Child} is that command's
   * process, and the program's own id is what it knows itself by.
   */
  readonly through?: readonly string[];
}

/**
 * Starts a program of `fixtures/` in a process of its own and waits until it has said which runtime
 * it runs on.
 */
export async function spawn(
  runtime: Runtime,
  fixture: string,
  args: readonly string[] = [],
  { denoPermissions = ["--allow-ffi"], env = {}, through = [] }: SpawnOptions = {},
): Promise<Child> {
  const command = [...through, ...fixtureCommand(runtime, fixture, args, denoPermissions)];
  const title = `${runtime} ${[fixture, ...args].join(" ")}`;
  const variables = { TANDEM_DIR: folder(), NO_COLOR: "1", ...env };
  const child = startProgram(title, command, variables);
  const greeting = await child.message<{ runtime: Runtime; pid: number }>();
  // A wrapper script or the wrong binary would make every test that kills or pairs worthless.
  const pid = through.length > 0 ? greeting.pid : child.pid;
  assertEquals(greeting, { runtime, pid });
  child.ownPid = pid;
  return child;
}

/** What runs a program of `fixtures/`, for who starts it by himself. */
export function fixtureCommand(
  runtime: Runtime,
  fixture: string,
  args: readonly string[] = [],
  denoPermissions: readonly string[] = ["--allow-ffi"],
): [string, ...string[]] {
  const flags = runtime === "deno" ? ["run", "--quiet", ...denoPermissions] : ["run"];
  return [runtimePath(runtime), ...flags, join(fixtures, fixture), ...args];
}

/** Starts any program, which is gone when the test ends. */
export function startProgram(
  title: string,
  [path, ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Child {
  const child = new Child(title, present(path), args, env);
  scope().children.push(child);
  return child;
}

/** How a server takes requests; see fixtures/server.ts. */
export type ServerForm = "try" | "sync" | "promise" | "iterate" | "serve" | "serveSync";

/** How a client calls; see fixtures/client.ts. */
export type ClientForm = "sync" | "promise" | "try";

/** Starts fixtures/server.ts and waits until its handle is open. */
export async function startServer(
  runtime: Runtime,
  target: string,
  form: ServerForm,
  options: ChannelOptions = {},
): Promise<Child> {
  const server = await spawn(runtime, "server.ts", [target, form, JSON.stringify(options)]);
  await server.expect("ready");
  return server;
}

/** Starts fixtures/client.ts and waits until its handle is open. */
export async function startClient(
  runtime: Runtime,
  target: string,
  form: ClientForm,
): Promise<Child> {
  const client = await spawn(runtime, "client.ts", [target, form]);
  await client.expect("ready");
  return client;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process of a test's, talking by lines on its stdin and stdout. */
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
  ) {
    this.#title = title;
    const child = execute(path, args, env);
    assert(child.pid !== undefined && child.stdout && child.stderr && child.stdin, path);
    this.#process = child;
    this.pid = child.pid;
    watchdog.note(`child ${child.pid}`);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        watchdog.note(`gone ${child.pid}`);
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

  kill(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGTERM"): void {
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
  const deadline = Date.now() + 30_000;
  for (let pause = 1; !(await condition()); pause = Math.min(pause * 2, 20)) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what ?? condition}`);
    await sleep(pause);
  }
}

/** Only where a condition is waited for, or where the passing of time is what is tested. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A promise that may reject before anybody is there to hear it, which is no error of the test. */
export function doomed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Asserts that `promise` rejects with a `TandemError` of that code. */
export async function assertRejectsCode(
  promise: PromiseLike<unknown>,
  code: ErrorCode,
  ...messageIncludes: readonly string[]
): Promise<TandemError> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return checkError(error, code, messageIncludes);
  }
  throw new Error(`expected ${code}, but the promise resolved to ${String(result)}`);
}

/** Asserts that `body` throws a `TandemError` of that code. */
export function assertThrowsCode(
  body: () => unknown,
  code: ErrorCode,
  ...messageIncludes: readonly string[]
): TandemError {
  let result: unknown;
  try {
    result = body();
  } catch (error) {
    return checkError(error, code, messageIncludes);
  }
  throw new Error(`expected ${code}, but the call returned ${String(result)}`);
}

function checkError(
  error: unknown,
  code: ErrorCode,
  messageIncludes: readonly string[],
): TandemError {
  assertInstanceOf(error, TandemError, `expected ${code}, got ${String(error)}`);
  assertEquals(error.code, code, `expected ${code}, got ${error.code}: ${error.message}`);
  assert(error.message.length > 0, "an error without a message");
  for (const part of messageIncludes) {
    assert(error.message.includes(part), `"${error.message}" does not mention "${part}"`);
  }
  return error;
}

/** A value that is there; `null` fails the test. */
export function present<T>(value: T | null | undefined): T {
  assert(value !== null && value !== undefined, "there is nothing");
  return value;
}

/** What a text is as bytes. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** What bytes are as text. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(byteLength: number, seed: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(byteLength);
  for (let index = 0; index < byteLength; index++) {
    result[index] = Math.imul(index ^ (seed << 8), 0x9e3779b1) >>> 24;
  }
  return result;
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
 * Waits until a process has nothing more to do for now: it sleeps, but for the few times a second at
 * which a blocking wait looks for the dead.
 */
export async function settled(child: Child): Promise<void> {
  let before = -Infinity;
  await eventually(async () => {
    if (!child.isRunning) return true;
    const now = sleepsOf(child.pid);
    if (now - before <= 5) return true;
    before = now;
    await sleep(100);
    return false;
  }, "a process comes to rest");
}

/**
 * Starts a program, by way of a shell that turns into it. Left to itself Deno hands its own permissions
 * to every Deno that it starts, and the variables of its environment also where others are given.
 */
function execute(
  path: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { stderr = "pipe", hasOwnGroup = false }: {
    readonly stderr?: "pipe" | "inherit";
    readonly hasOwnGroup?: boolean;
  } = {},
): ChildProcess {
  const removed = Object.keys(env).filter((name) => env[name] === undefined);
  const script = [
    ...removed.map((name) => `unset ${name}`),
    'exec "$TANDEM_TEST_PROGRAM" "$@"',
  ];
  return spawnProcess("/bin/sh", ["-c", script.join("\n"), "sh", ...args], {
    cwd: repository,
    env: { ...process.env, ...env, TANDEM_TEST_PROGRAM: path },
    stdio: ["pipe", stderr === "pipe" ? "pipe" : "ignore", stderr],
    detached: hasOwnGroup,
  });
}

/** The path of a runtime's own binary. */
export function runtimePath(name: Runtime): string {
  if (name === runtime) return process.execPath;
  const candidates = {
    deno: [".tools/bin/deno", "node_modules/deno/deno"],
    bun: [".tools/bin/bun", "node_modules/bun/bin/bun.exe"],
  };
  const path = candidates[name].map((path) => join(repository, path)).find((path) =>
    existsSync(path)
  );
  return path ?? name; // wherever PATH has it
}

/** A job must not silently test the wrong runtime. */
function checkRuntime(): void {
  const versions: Readonly<Record<string, string | undefined>> = process.versions;
  const found = versions.bun ? "bun" : versions.deno ? "deno" : "neither";
  assertEquals(found, runtime);
  const wanted = process.env.TANDEM_TEST_RUNTIME;
  if (wanted) assertEquals(runtime, wanted, "TANDEM_TEST_RUNTIME names another runtime");
}

function loadLibrary(): void {
  try {
    Server.unlink(join(parent, "no-such-channel.tandem"));
  } catch {
    // The tests will tell.
  }
}

interface Watchdog {
  /** Resolves when the line is on its way. */
  tell(line: string): Promise<void>;
  note(line: string): void;
}

function startWatchdog(): Watchdog {
  const flags = runtime === "deno" ? ["run", "--quiet", "--no-config", "--allow-all"] : ["run"];
  const args = [...flags, join(fixtures, "watchdog.ts"), String(process.pid)];
  // It outlives the runner for a moment, which must not look as if a test had left it behind.
  const child = execute(process.execPath, args, { TANDEM_TEST_RUN: undefined }, {
    stderr: "inherit",
    hasOwnGroup: true,
  });
  child.unref();
  const { stdin } = child;
  assert(stdin);
  (stdin as unknown as { unref?(): void }).unref?.();
  const tell = (line: string) =>
    new Promise<void>((resolve, reject) => {
      stdin.write(`${line}\n`, (error) => error ? reject(error) : resolve());
    });
  return { tell, note: (line) => void tell(line).catch(() => {}) };
}
