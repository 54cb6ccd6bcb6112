/**
 * Processes that serve for one test after the other, one for each runtime. The process of a test that fails is not
 * used again; then, and for the second service of a test, a service is a process of its own.
 *
 * They start as this module loads: Deno allows no test to leave a process behind.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { ServiceOptions } from "../../mod.ts";
import type { ServiceFixture } from "../fixtures/services.ts";
import {
  atEnd,
  borrowProcess,
  Child,
  fixtureCommand,
  isBare,
  type Runtime,
  runtimes,
} from "./harness.ts";
import type { Hosted } from "./site.ts";

const ended = "host: ended";
/** Far longer than it takes to close a service that waits for nothing. */
const patience = 60_000;

/** What a service writes, for one test. */
class Lines {
  readonly #lines: string[] = [];
  readonly #readers: PromiseWithResolvers<string>[] = [];
  #failure: unknown;

  push(line: string): void {
    const reader = this.#readers.shift();
    if (reader) reader.resolve(line);
    else this.#lines.push(line);
  }

  /** There will be no further one. */
  fail(failure: unknown): void {
    this.#failure = failure;
    for (const reader of this.#readers.splice(0)) reader.reject(failure);
  }

  next(): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const reader = Promise.withResolvers<string>();
    this.#readers.push(reader);
    return reader.promise;
  }
}

class SharedService implements Hosted {
  readonly pid: number;
  readonly #child: Child;
  readonly #lines: Lines;

  constructor(child: Child, lines: Lines) {
    this.pid = child.pid;
    this.#child = child;
    this.#lines = lines;
  }

  send(line: string): void {
    this.#child.send(line);
  }

  line(): Promise<string> {
    return this.#lines.next();
  }

  async expect(line: string): Promise<void> {
    assertEquals(await this.line(), line);
  }
}

class ServiceHost {
  readonly #child: Child;
  /** Of the test that has the process; null: none has it. */
  #lines: Lines | null = null;
  #ended: PromiseWithResolvers<void> | null = null;
  /** The process has ended, or was stopped because a test has failed. */
  #isLost = false;
  /** Why it has ended by itself, until a test has failed for it. */
  #failure: unknown;

  constructor(runtime: Runtime) {
    const [program, ...args] = fixtureCommand(runtime, "host_typed.ts");
    // Like the watchdog it outlives the runner for a moment.
    const env = { NO_COLOR: "1", TANDEM_TEST_RUN: undefined };
    this.#child = new Child(`${runtime} host_typed.ts`, program, args, env);
    this.#child.unref();
    void this.#listen();
  }

  async #listen(): Promise<void> {
    try {
      await this.#child.message();
      for (;;) this.#hear(await this.#child.line());
    } catch (error) {
      if (!this.#isLost) this.#failure = error;
      this.#isLost = true;
      this.#lines?.fail(error);
      this.#ended?.reject(error);
    }
  }

  #hear(line: string): void {
    if (line === ended) this.#ended?.resolve();
    else this.#lines?.push(line);
  }

  get isFree(): boolean {
    this.#tellFailure();
    return this.#lines === null && !this.#isLost;
  }

  #tellFailure(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  async start(fixture: ServiceFixture, target: string, options: ServiceOptions): Promise<Hosted> {
    const lines = new Lines();
    this.#lines = lines;
    borrowProcess(() => this.#lose());
    atEnd(() => this.#end());
    this.#child.send({ fixture, target, options });
    const service = new SharedService(this.#child, lines);
    await service.expect("ready");
    return service;
  }

  /** Nobody has it any more. The watchdog kills it: Deno would blame the next test for its end. */
  #lose(): void {
    this.#isLost = true;
    this.#child.kill("SIGSTOP");
    this.#ended?.reject(new Error("the service does not end"));
  }

  async #end(): Promise<void> {
    const lines = this.#lines;
    try {
      this.#tellFailure();
      if (!this.#isLost) await this.#endService();
    } finally {
      this.#lines = null;
      lines?.fail(new Error("the test has ended"));
    }
  }

  async #endService(): Promise<void> {
    this.#ended = Promise.withResolvers();
    const timer = setTimeout(() => this.#lose(), patience);
    this.#child.send("end");
    try {
      await this.#ended.promise;
    } finally {
      clearTimeout(timer);
    }
  }
}

const hosts: ReadonlyMap<Runtime, ServiceHost> = new Map(
  isBare ? [] : runtimes.map((runtime) => [runtime, new ServiceHost(runtime)]),
);

/** The host of a runtime, if a test may have it. */
export function freeHost(runtime: Runtime): ServiceHost | null {
  const host = hosts.get(runtime);
  return host?.isFree ? host : null;
}
