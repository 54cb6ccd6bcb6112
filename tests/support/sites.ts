/**
 * Where the services of the conformance suite run. Each test of typed calls that does not kill, stop or
 * look into a process runs at every site, so a new transport joins the suite by joining this list.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { serve, type Service, type ServiceOptions, type Topic } from "../../mod.ts";
import { redirectSay } from "../fixtures/lib.ts";
import { Borrower } from "../fixtures/by_reference.ts";
import { Api } from "../fixtures/typed.ts";
import { Checks } from "../fixtures/typed_checks.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { hasNats, newNatsTarget } from "./nats.ts";
import { atEnd, type Child, newTarget, type Runtime, runtimes, spawn } from "./harness.ts";

/** A service that a test talks to by lines, in another process or in this one. */
export interface Hosted {
  readonly pid: number;
  send(line: string): void;
  /** The next line that the service writes. */
  line(): Promise<string>;
  /** Asserts what the next line is. */
  expect(line: string): Promise<void>;
}

/** Programs of `fixtures/` that serve. */
export type ServiceFixture = "typed.ts" | "typed_checks.ts" | "by_reference.ts";

/** A place for a service, and a transport that reaches it from the test. */
export interface Site {
  /** `"deno serves"`, for the names of tests. */
  readonly title: string;
  /** A target that does not exist yet. */
  newTarget(): string;
  start(fixture: ServiceFixture, target: string, options: ServiceOptions): Promise<Hosted>;
}

/** A transport, for tests whose services run in this process anyway. */
export interface TransportUnderTest {
  readonly title: string;
  newTarget(): string;
}

let memoryTargets = 0;

/** A target of the memory transport that does not exist yet. */
function newMemoryTarget(): string {
  memoryTargets += 1;
  return `memory:test-${memoryTargets}`;
}

const apis: Readonly<Record<ServiceFixture, () => object>> = {
  "typed.ts": () => new Api(),
  "typed_checks.ts": () => new Checks(),
  "by_reference.ts": () => new Borrower(),
};

/** A service of this process that behaves as a program of `fixtures/` does. */
class LocalService implements Hosted {
  readonly pid: number = process.pid;
  readonly #service: Service;
  readonly #lines: string[] = [];
  readonly #readers: ((line: string) => void)[] = [];

  constructor(api: object, target: string, options: ServiceOptions) {
    this.#service = serve(target, api, { ...options, errors: [CustomError] });
    this.#listen();
  }

  /** Tests run one after the other, and the service that was started last writes. */
  #listen(): void {
    redirectSay((line) => this.#hear(line));
  }

  #hear(line: string): void {
    const reader = this.#readers.shift();
    if (reader) reader(line);
    else this.#lines.push(line);
  }

  send(line: string): void {
    if (line === "unlink") {
      this.#service.unlink();
      this.#hear("unlinked");
    }
    if (line === "stop") void this.#stop();
  }

  async #stop(): Promise<void> {
    await this.#service.close();
    this.#hear("stopped");
  }

  line(): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  async expect(line: string): Promise<void> {
    assertEquals(await this.line(), line);
  }

  /** Ends the service, whatever it works on. */
  end(): Promise<void> {
    return this.#service.close({ timeout: 0 });
  }
}

/** A site whose services are processes of their own. */
export interface ProcessSite extends Site {
  start(fixture: ServiceFixture, target: string, options: ServiceOptions): Promise<Child>;
}

/** Services in processes of that runtime, reached through shared memory. */
export function processSite(runtime: Runtime): ProcessSite {
  return {
    title: `${runtime} serves`,
    newTarget,
    start: async (fixture, target, options) => {
      const service = await spawn(runtime, fixture, [target, JSON.stringify(options)]);
      await service.expect("ready");
      return service;
    },
  };
}

/** Services in this process. */
function localSite(title: string, newTarget: () => string): Site {
  return {
    title,
    newTarget,
    start: (fixture, target, options) => {
      const service = new LocalService(apis[fixture](), target, options);
      atEnd(() => service.end());
      return Promise.resolve(service);
    },
  };
}

export const sites: readonly Site[] = [
  ...runtimes.map(processSite),
  localSite("process memory serves", newMemoryTarget),
  ...(hasNats ? [localSite("NATS serves", newNatsTarget)] : []),
];

const nats = hasNats ? [{ title: "NATS", newTarget: newNatsTarget }] : [];
const memories: readonly TransportUnderTest[] = [
  { title: "shared memory", newTarget },
  { title: "process memory", newTarget: newMemoryTarget },
];

export const transports: readonly TransportUnderTest[] = [...memories, ...nats];

interface TopicsUnderTest extends TransportUnderTest {
  /** What `publish` returns for so many subscribers. */
  seenBy(count: number): number;
  /** Resolves when what this process has published has arrived in it. */
  arrived(topic: Pick<Topic<unknown>, "subscribe">): Promise<void>;
}

/** As {@linkcode transports}, for topics. */
export const topicTransports: readonly TopicsUnderTest[] = [
  ...memories.map((transport) => ({
    ...transport,
    seenBy: (count: number): number => count,
    arrived: (): Promise<void> => Promise.resolve(),
  })),
  // The server answers behind what it has sent before.
  ...nats.map((transport) => ({
    ...transport,
    seenBy: (): number => NaN,
    arrived: async (topic: Pick<Topic<unknown>, "subscribe">): Promise<void> => {
      using probe = topic.subscribe();
      await probe.ready;
    },
  })),
];
