/** `serve(…, { signal })` and `service.ready`. */
import { assertEquals, assertThrows } from "@std/assert";
import { connect, serve } from "../../mod.ts";
import { assertRejectsCode, doomed, eventually, test } from "../support/harness.ts";
import { collect } from "../support/rpc_helper.ts";
import { transports } from "../support/sites.ts";

class Service {
  readonly holding: (() => void)[] = [];

  hold(): Promise<string> {
    return new Promise((resolve) => this.holding.push(() => resolve("held")));
  }

  *count(to: number): Generator<number> {
    for (let number = 1; number <= to; number++) yield number;
  }
}

/** How many listeners a signal has. */
function counted(signal: AbortSignal): () => number {
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]): void => {
    count += 1;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]): void => {
    count -= 1;
    Reflect.apply(removeEventListener, signal, args);
  };
  return () => count;
}

for (const { title, newTarget } of transports) {
  test(`${title}: a signal closes its service, whose calls in progress end first`, async () => {
    const target = newTarget();
    const stopping = new AbortController();
    const api = new Service();
    const service = serve(target, api, { signal: stopping.signal });
    await service.ready;
    using remote = connect<Service>(target, { timeout: 30_000 });
    assertEquals(await collect(remote.count(3)), [1, 2, 3]);
    const held = remote.hold();
    await eventually(() => api.holding.length === 1);
    stopping.abort(new Error("SIGTERM"));
    let hasFinished = false;
    void service.finished.then(() => hasFinished = true);
    // It waits for another service.
    const later = doomed(remote.hold());
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals([hasFinished, api.holding.length], [false, 1]);
    api.holding.pop()!();
    assertEquals(await held, "held");
    await service.finished;
    const next = new Service();
    const successor = serve(target, next);
    await eventually(() => next.holding.length === 1);
    next.holding.pop()!();
    assertEquals(await later, "held");
    await service.close();
    await successor.close();
  });

  test(`${title}: a service whose signal has aborted before closes at once`, async () => {
    const target = newTarget();
    const api = new Service();
    const service = serve(target, api, { signal: AbortSignal.abort(new Error("before")) });
    using remote = connect<Service>(target, { timeout: 30_000 });
    const call = doomed(remote.hold());
    await service.finished;
    await assertRejectsCode(service.ready, "CLOSED", "signal");
    assertEquals(api.holding.length, 0);
    const successor = serve(target, api);
    await eventually(() => api.holding.length === 1);
    api.holding.pop()!();
    assertEquals(await call, "held");
    await service.close();
    await successor.close();
  });

  test(`${title}: a signal that outlives its services keeps none of their listeners`, async () => {
    const stopping = new AbortController();
    const count = counted(stopping.signal);
    for (let round = 0; round < 20; round++) {
      const service = serve(newTarget(), new Service(), { signal: stopping.signal });
      assertEquals(count(), 1);
      await service.close();
      assertEquals(count(), 0);
    }
    const services = [1, 2, 3].map(() =>
      serve(newTarget(), new Service(), { signal: stopping.signal })
    );
    stopping.abort();
    await Promise.all(services.map(({ finished }) => finished));
  });
}

test("a signal of serve that is none is a TypeError", () => {
  for (const value of [1, {}, null, new AbortController(), new EventTarget()]) {
    const signal = value as unknown as AbortSignal;
    assertThrows(() => serve("memory:nothing", new Service(), { signal }), TypeError, "as signal");
  }
});
