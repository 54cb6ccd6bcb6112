/**
 * The code that tests share, so that each runs unchanged under `deno test`, `bun test` and `node --test`. It
 * registers, watches and cleans up after tests, and starts other processes.
 *
 * Tests wait for conditions and never assert a maximum time. Everything that a test started is gone when
 * it ends: processes, files, descriptors.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type ChannelOptions, type ErrorCode, TandemError } from "../../mod.ts";
import { toolCommand } from "../../scripts/tools.ts";
import { natsCannot } from "./nats_cannot.ts";
import { Child, type Runtime, runtime, startWatchdog } from "./processes.ts";

export { pattern } from "./pattern.ts";
export {
  Child,
  eventually,
  everyPair,
  type Exit,
  longEnough,
  ownRuntime,
  type Pair,
  pairs,
  type ProcessState,
  processState,
  type Runtime,
  runtime,
  runtimePath,
  runtimes,
  settled,
  sleep,
} from "./processes.ts";

const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));

/**
 * Deno lets this process neither start others nor read its environment. The conformance suite runs so over
 * `memory:`, to show that this transport needs no permission.
 */
export const isBare: boolean = !mayRun();

if (!isBare) checkRuntime();

/** How long a test may take before it counts as hanging. On a busy machine some take a minute. */
const patience = 180_000;

const watchdog = isBare ? null : startWatchdog();

/** The test that runs. All runners run one test at a time. */
let current: Scope | undefined;

/** The resources of one test. */
class Scope {
  #folder: string | null = null;
  readonly children: Child[] = [];
  readonly endings: (() => Promise<void>)[] = [];
  readonly lastEndings: Set<() => Promise<void>> = new Set();
  /** What to do with the processes that it shares with other tests, should it fail. */
  readonly losses: (() => void)[] = [];
  channels = 0;

  /** Made when it is needed, because a bare run may not write files. */
  get folder(): string {
    if (this.#folder === null) {
      this.#folder = mkdtempSync(join(parentFolder(), "tandem-test-"));
      watchdog?.note(`folder ${this.#folder}`);
    }
    return this.#folder;
  }

  killChildren(): void {
    for (const child of this.children) child.kill("SIGKILL");
  }

  loseBorrowed(): void {
    for (const lose of this.losses) lose();
  }

  async end(): Promise<void> {
    try {
      await Promise.all(this.endings.map((end) => end()));
      for (const end of this.lastEndings) await end();
    } finally {
      // Also after an ending that fails.
      this.killChildren();
      await Promise.all(this.children.map((child) => child.closed));
      if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
    }
  }
}

interface BunTest {
  readonly test: {
    (name: string, body: () => Promise<void>, timeout: number): void;
    skip(name: string, body: () => void): void;
  };
}

interface DenoTest {
  readonly test: {
    (definition: {
      name: string;
      fn: () => Promise<void>;
      sanitizeOps: boolean;
      sanitizeResources: boolean;
      sanitizeExit: boolean;
    }): void;
    ignore(name: string, body: () => void): void;
  };
}

interface NodeTest {
  readonly test: (
    name: string,
    options: { timeout?: number; skip?: boolean },
    body: () => Promise<void>,
  ) => Promise<void>;
}

// A computed name, so that Deno does not look for the module.
const bunTest = runtime === "bun" ? await import(["bun", "test"].join(":")) as BunTest : undefined;
const nodeTest = runtime === "node"
  ? await import(["node", "test"].join(":")) as NodeTest
  : undefined;
const { Deno: denoTest } = globalThis as unknown as { Deno: DenoTest };

interface DenoPermissions {
  readonly permissions: { querySync(descriptor: { name: "run" }): { readonly state: string } };
}

/** What a test may ask of the harness. */
export interface TestOptions {
  /** Milliseconds before it counts as hanging. */
  readonly timeout?: number;
  /** Why it cannot run here; null: it can. */
  readonly skip?: string | null;
}

/** Registers a test. */
export function test(
  name: string,
  body: () => void | Promise<void>,
  { timeout = patience, skip = reasonAgainst(name) }: TestOptions = {},
): void {
  if (skip !== null) return skipTest(`${name} (skipped: ${skip})`);
  const fn = () => runTest(name, body, timeout);
  // The runner's own limit only as a last resort: it would leave processes behind.
  if (bunTest) bunTest.test(name, fn, timeout + 60_000);
  else if (nodeTest) void nodeTest.test(name, { timeout: timeout + 60_000 }, fn);
  else denoTest.test({ name, fn, sanitizeOps: true, sanitizeResources: true, sanitizeExit: true });
}

/** Why a test of the conformance suite does not hold for the transport that its name begins or ends with. */
function reasonAgainst(name: string): string | null {
  const [, rest] = /^NATS(?: serves)?: (.*)$/s.exec(name) ?? [];
  return rest === undefined ? null : natsCannot[rest] ?? null;
}

function skipTest(name: string): void {
  if (bunTest) bunTest.test.skip(name, () => {});
  else if (nodeTest) void nodeTest.test(name, { skip: true }, () => Promise.resolve());
  else denoTest.test.ignore(name, () => {});
}

async function runTest(
  name: string,
  body: () => void | Promise<void>,
  timeout: number,
): Promise<void> {
  const scope = new Scope();
  current = scope;
  // Written out before the test may block this thread.
  await watchdog?.tell(`start ${timeout / 1000 + 20} ${name}`);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const diary = scope.children.map((child) => child.describe());
      scope.killChildren();
      scope.loseBorrowed();
      reject(new Error([`"${name}" hangs`, ...diary].join("\n")));
    }, timeout);
  });
  try {
    await Promise.race([body(), hang]);
  } catch (error) {
    scope.loseBorrowed();
    // The runners of Node and Deno print errors when all tests have ended, and not at all if they are stopped.
    if (!bunTest) console.error(error);
    throw error;
  } finally {
    clearTimeout(timer);
    await scope.end();
    current = undefined;
    await watchdog?.tell("end");
  }
}

function scope(): Scope {
  assert(current, "only while a test runs");
  return current;
}

/** Runs `end` when the test has ended, however it ends. */
export function atEnd(end: () => Promise<void>): void {
  scope().endings.push(end);
}

/** Runs `end` once, after all that {@linkcode atEnd} runs. */
export function afterEnd(end: () => Promise<void>): void {
  scope().lastEndings.add(end);
}

/** Runs `lose` if the test fails: it has a process that serves for other tests, too. */
export function borrowProcess(lose: () => void): void {
  scope().losses.push(lose);
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
  /** Deno's permissions, and other flags of `deno run`; default: exactly what the core needs. */
  readonly denoPermissions?: readonly string[];
  /** Added to the environment; `undefined` removes. `TANDEM_DIR` is the test's folder. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * A command that starts the program, `nsenter` for example. The {@linkcode Child} is that command's
   * process; the program reports its own process id.
   */
  readonly through?: readonly string[];
  /** Descriptors of this process that the program inherits, from 3 on. */
  readonly inherit?: readonly number[];
}

/**
 * Starts a program of `fixtures/` in a separate process and waits until it has reported its
 * runtime.
 */
export async function spawn(
  runtime: Runtime,
  fixture: string,
  args: readonly string[] = [],
  { denoPermissions = ["--allow-ffi"], env = {}, through = [], inherit = [] }: SpawnOptions = {},
): Promise<Child> {
  const command = [...through, ...fixtureCommand(runtime, fixture, args, denoPermissions)];
  const title = `${runtime} ${[fixture, ...args].join(" ")}`;
  const variables = { TANDEM_DIR: folder(), NO_COLOR: "1", ...env };
  const child = startProgram(title, command, variables, inherit);
  const greeting = await child.message<{ runtime: Runtime; pid: number }>();
  // A wrapper script or a wrong binary would make tests of kills and pairs worthless.
  const pid = through.length > 0 ? greeting.pid : child.pid;
  assertEquals(greeting, { runtime, pid });
  child.ownPid = pid;
  return child;
}

/** The command that runs a program of `fixtures/`, for tests that start it themselves. */
export function fixtureCommand(
  runtime: Runtime,
  fixture: string,
  args: readonly string[] = [],
  denoPermissions: readonly string[] = ["--allow-ffi"],
): [string, ...string[]] {
  const command = toolCommand(runtime, join(fixtures, fixture), args, denoPermissions);
  return [command.program, ...command.args];
}

/** Starts any program, which the harness kills when the test ends. */
export function startProgram(
  title: string,
  [path, ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
  inherit: readonly number[] = [],
): Child {
  const child = new Child(title, present(path), args, env, inherit);
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

/** A promise that may reject before the test awaits it, which is no error of the test. */
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

/** A value that is not null or undefined; otherwise the test fails. */
export function present<T>(value: T | null | undefined): T {
  assert(value !== null && value !== undefined, "there is nothing");
  return value;
}

/** A text as bytes. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Bytes as text. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

/** A job must not silently test the wrong runtime. */
function checkRuntime(): void {
  const versions: Readonly<Record<string, string | undefined>> = process.versions;
  const found = versions.bun ? "bun" : versions.deno ? "deno" : "node";
  assertEquals(found, runtime);
  const wanted = process.env.TANDEM_TEST_RUNTIME;
  if (wanted) assertEquals(runtime, wanted, "TANDEM_TEST_RUNTIME names another runtime");
}

function mayRun(): boolean {
  if (runtime !== "deno") return true;
  const { Deno } = globalThis as unknown as { readonly Deno: DenoPermissions };
  return Deno.permissions.querySync({ name: "run" }).state === "granted";
}

/** In memory where there is any, because channels are made for it. */
function parentFolder(): string {
  return process.env.TANDEM_DIR ?? (existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
}
