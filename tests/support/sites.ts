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
import { apis } from "../fixtures/services.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import { hasNats, newNatsTarget } from "./nats.ts";
import { atEnd, newTarget, type Runtime, runtimes } from "./harness.ts";
import { freeHost } from "./service_hosts.ts";
import { type Hosted, processSite, type Site } from "./site.ts";

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

/** Services in processes of that runtime, which serve for other tests, too. */
function sharedSite(runtime: Runtime): Site {
  const own = processSite(runtime);
  return {
    ...own,
    start: (fixture, target, options) => (freeHost(runtime) ?? own).start(fixture, target, options),
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
  ...runtimes.map(sharedSite),
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
