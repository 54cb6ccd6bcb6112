/** A place for services, and services in processes of their own. */
import type { ServiceOptions } from "../../mod.ts";
import type { ServiceFixture } from "../fixtures/services.ts";
import { type Child, newTarget, type Runtime, spawn } from "./harness.ts";

/** A service that a test talks to by lines, in another process or in this one. */
export interface Hosted {
  readonly pid: number;
  send(line: string): void;
  /** The next line that the service writes. */
  line(): Promise<string>;
  /** Asserts what the next line is. */
  expect(line: string): Promise<void>;
}

/** A place for a service, and a transport that reaches it from the test. */
export interface Site {
  /** `"deno serves"`, for the names of tests. */
  readonly title: string;
  /** A target that does not exist yet. */
  newTarget(): string;
  start(fixture: ServiceFixture, target: string, options: ServiceOptions): Promise<Hosted>;
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
