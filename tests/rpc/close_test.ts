/** How services end: at once, in time, and with handlers that do not. */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  callContext,
  Client,
  connect,
  serve,
  Server,
  type ServerRequest,
  TandemError,
} from "../../mod.ts";
import type { Checks } from "../fixtures/typed_checks.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  runtimes,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import { rejection, startChecks, startService } from "../support/rpc_helper.ts";
import { transports } from "../support/sites.ts";

class Api {
  aborted: string[] = [];
  streams = 0;
  ended = 0;

  hang(): Promise<void> {
    const { signal } = callContext()!;
    signal.addEventListener("abort", () => {
      assertInstanceOf(signal.reason, TandemError);
      this.aborted.push(signal.reason.code);
    });
    return new Promise(() => {});
  }

  async soon(): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return "done";
  }

  async *items(): AsyncGenerator<number> {
    this.streams += 1;
    try {
      for (let item = 0;; item++) yield await Promise.resolve(item);
    } finally {
      this.ended += 1;
    }
  }

  ping(): string {
    return "pong";
  }
}

/** Longer than a closed service waits for a part of a long call or answer. */
const longerThanGrace = 3_000;

for (const transport of transports) {
  test(`${transport.title}: close({ timeout }): a hanging call ends SERVER_DIED, and its signal aborts`, async () => {
    const target = transport.newTarget();
    const api = new Api();
    const service = serve(target, api);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const hanging = [1, 2, 3].map(() => assertRejectsCode(remote.hang(), "SERVER_DIED"));
    assertEquals(await remote.ping(), "pong");
    await service.close({ timeout: 20 });
    await service.finished;
    await Promise.all(hanging);
    assertEquals(api.aborted, ["CANCELLED", "CANCELLED", "CANCELLED"]);
  });
}

for (const transport of transports) {
  test(`${transport.title}: close({ timeout }): a call that ends in time is answered`, async () => {
    const target = transport.newTarget();
    const service = serve(target, new Api());
    using remote = connect<Api>(target, { timeout: 30_000 });
    const soon = remote.soon();
    assertEquals(await remote.ping(), "pong");
    await service.close({ timeout: 30_000 });
    assertEquals(await soon, "done");
  });
}

for (const transport of transports) {
  test(`${transport.title}: close({ timeout }) after close(): the shorter time-out counts, and all promises resolve`, async () => {
    const target = transport.newTarget();
    const api = new Api();
    const service = serve(target, api);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const hanging = assertRejectsCode(remote.hang(), "SERVER_DIED");
    assertEquals(await remote.ping(), "pong");
    const patient = service.close();
    const never = service.close({ timeout: Infinity });
    await service.close({ timeout: 0 });
    await Promise.all([patient, never, hanging, service.finished]);
    await service.close({ timeout: 5 });
  });
}

for (const transport of transports) {
  test(`${transport.title}: close({ timeout }): streams end, in either direction`, async () => {
    const target = transport.newTarget();
    const api = new Api();
    const service = serve(target, api);
    using remote = connect<Api>(target, { timeout: 30_000 });
    const items = remote.items();
    await items.next();
    const hanging = assertRejectsCode(remote.hang(), "SERVER_DIED");
    assertEquals(await remote.ping(), "pong");
    await service.close({ timeout: 10 });
    await hanging;
    assertInstanceOf(await rejection(items.next()), TandemError);
    await eventually(() => api.ended === 1);
  });
}

for (const transport of transports) {
  test(`${transport.title}: close: long answers that are on their way arrive, however they are asked for`, async () => {
    const target = transport.newTarget();
    const api = {
      long(byteLength: number): Uint8Array {
        void service.close();
        return new Uint8Array(byteLength).fill(7);
      },
      async longLater(text: string): Promise<string> {
        await new Promise((resolve) => setTimeout(resolve, 10));
        return text.repeat(2_000_000);
      },
    };
    const service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const later = [1, 2, 3].map(() => remote.longLater("x"));
    const long = await remote.long(9_000_000);
    assertEquals([long.byteLength, long.at(-1)], [9_000_000, 7]);
    for (const text of await Promise.all(later)) assertEquals(text.length, 2_000_000);
    await service.finished;
  });

  test(`${transport.title}: close: a long answer arrives although the process stands still meanwhile`, async () => {
    const target = transport.newTarget();
    const standStill = () =>
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, longerThanGrace);
    const api = {
      long(byteLength: number): Uint8Array {
        void service.close();
        // When the first parts are on their way.
        setTimeout(standStill, 0);
        return new Uint8Array(byteLength).fill(7);
      },
    };
    const service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const long = await remote.long(60_000_000);
    assertEquals([long.byteLength, long.at(-1)], [60_000_000, 7]);
    await service.finished;
  });

  test(`${transport.title}: close({ timeout }): a wrong time-out is refused, and the service stays`, async () => {
    const target = transport.newTarget();
    const service = serve(target, new Api());
    using remote = connect<Api>(target, { timeout: 30_000 });
    await assertRejects(() => service.close({ timeout: -1 }), RangeError);
    await assertRejects(() => service.close({ timeout: NaN }), RangeError);
    await assertRejects(() => service.close({ timeout: "1" as unknown as number }), TypeError);
    assertEquals(await remote.ping(), "pong");
    await service.close();
  });
}

for (const transport of transports) {
  test(`${transport.title}: close({ timeout }): the late result of a handler is dropped without an error`, async () => {
    const target = transport.newTarget();
    let finish = (): void => {};
    let isOver = false;
    const api = {
      late: async () => {
        await new Promise<void>((resolve) => finish = resolve);
        isOver = true;
        return "late";
      },
      ping: () => "pong",
    };
    const service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const late = assertRejectsCode(remote.late(), "SERVER_DIED");
    assertEquals(await remote.ping(), "pong");
    await service.close({ timeout: 0 });
    await late;
    finish();
    await eventually(() => isOver);
  });
}

for (const name of runtimes) {
  test(`${name}: close({ timeout }) hands idempotent calls to another service`, async () => {
    const target = newTarget();
    const holdOnce = (): Promise<string> => new Promise(() => {});
    const service = serve(target, { holdOnce }, { maxDeliveries: 2 });
    using remote = connect<{ holdOnce(): string }>(target, { timeout: 30_000, idempotent: true });
    const answers = Promise.all([1, 2, 3, 4].map(() => remote.holdOnce()));
    await eventually(() => service.stats().inFlight === 4 && service.stats().queued === 0);
    await startService(name, target);
    await service.close({ timeout: 0 });
    assertEquals(await answers, Array(4).fill("delivery 2"));
  });
}

for (const name of ownRuntime) {
  test(`${name}: close: a long call is answered, however slowly its parts come`, async () => {
    const target = newTarget();
    const service = await startChecks(name, target);
    using remote = connect<Checks>(target, { timeout: 60_000 });
    using watcher = Client.open(target);
    const bytes = new Uint8Array(60 * 2 ** 20);
    const call = doomed(remote.check(bytes, 0, 0));
    await eventually(() => watcher.stats().inFlight === 1 && watcher.stats().queued === 0);
    service.send("stop");
    // In each turn of this process a few parts are asked for.
    const begin = performance.now();
    while (performance.now() - begin < longerThanGrace) {
      const end = performance.now() + 300;
      while (performance.now() < end);
      await sleep(1);
    }
    assertEquals(await call, bytes.byteLength);
    // The method finds wrong bytes, and says so.
    await service.line();
    await service.expect("stopped");
  });
}

for (const name of ownRuntime) {
  test(`${name}: close: a client that is stopped while it sends long calls holds up nothing`, async () => {
    const target = newTarget();
    const service = await startChecks(name, target);
    const client = await spawn(name, "typed_checks.ts", ["client", target]);
    await client.expect("sending");
    await client.stopped();
    service.send("stop");
    await service.expect("stopped");
  });
}

test("close: a long call that has arrived waits for its turn", async () => {
  const target = newTarget();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const api = { hold: () => held, length: (bytes: Uint8Array) => bytes.byteLength };
  const service = serve(target, api, { concurrency: 1 });
  using remote = connect<typeof api>(target, { timeout: 60_000 });
  // While this one is fetched, the other one begins.
  const long = doomed(remote.length(new Uint8Array(3_000_000)));
  const first = remote.hold();
  await eventually(() => service.stats().inFlight === 2 && service.stats().queued === 0);
  const closing = service.close();
  await sleep(longerThanGrace);
  release();
  await first;
  assertEquals(await long, 3_000_000);
  await closing;
});

test("a raw server that is closed aborts the signals of its handlers", async () => {
  const server = Server.anonymous();
  using client = Client.fromFd(server.fd);
  const codes: string[] = [];
  const requests: ServerRequest[] = [];
  const serving = server.serve((request) => {
    requests.push(request);
    // The second handler looks at its signal only after the server was closed.
    if (requests.length === 1) {
      const { signal } = request;
      signal.addEventListener("abort", () => codes.push((signal.reason as TandemError).code));
    }
    return new Promise<string>(() => {});
  });
  const answers = ["x", "y"].map((text) => assertRejectsCode(client.request(text), "SERVER_DIED"));
  await eventually(() => requests.length === 2);
  server.close();
  await serving;
  await Promise.all(answers);
  assertEquals(codes, ["CANCELLED"]);
  assertEquals((requests[1]!.signal.reason as TandemError).code, "CANCELLED");
});
