/** How long a reader that is idle keeps its lease, which holds a slot of the host. */
import { assertEquals } from "@std/assert";
import { ErrorClasses } from "../../src/codec/error_classes.ts";
import { Endpoint } from "../../src/rpc/endpoint.ts";
import type { Limits } from "../../src/rpc/terms.ts";
import type { End, Requester } from "../../src/transport/transport.ts";
import { atEnd, eventually, test } from "../support/harness.ts";

const limits: Limits = { maxMessageBytes: 2 ** 20, maxTreeBytes: 2 ** 20 };

/** A reader of hosts that never answer. It does nothing but keep leases. */
class Reader {
  /** The leases that it has asked for, by the names of the hosts. */
  readonly leases: Map<string, AbortSignal[]> = new Map();
  readonly endpoint: Endpoint;

  constructor() {
    const connectPrivate = (name: string) => this.#connect(name) as Requester;
    const main = { connectPrivate } as unknown as End;
    this.endpoint = new Endpoint(main, new ErrorClasses(), limits);
    // deno-lint-ignore require-await -- an end of a test is a promise
    atEnd(async () => this.endpoint.close());
  }

  #connect(name: string): Partial<Requester> {
    return {
      maxRequestBytes: 1_024,
      receivers: 1,
      onLoss: () => {},
      request: (_message, terms) => {
        this.leases.set(name, [...this.leases.get(name) ?? [], terms!.signal!]);
      },
      close: () => {},
    };
  }

  use(name: string): void {
    this.endpoint.peer(name).hold()();
  }

  /** Whether each lease has been given up. */
  leasesOf(name: string): boolean[] {
    return this.leases.get(name)!.map(({ aborted }) => aborted);
  }
}

test("a later lease of the same connection is given up as soon as the first one", async () => {
  const reader = new Reader();
  reader.use("u0/p1");
  await eventually(() => reader.leasesOf("u0/p1")[0], "the first lease is given up");
  reader.use("u0/p1");
  assertEquals(reader.leasesOf("u0/p1"), [true, false]);
  // What begins later, one after another, ends later.
  for (const other of ["u0/p2", "u0/p3", "u0/p4"]) {
    reader.use(other);
    await eventually(() => reader.leasesOf(other)[0], `the lease at ${other} is given up`);
  }
  assertEquals(reader.leasesOf("u0/p1"), [true, true]);
});
