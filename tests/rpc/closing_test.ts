/** Promises that closing ends cause no unhandled rejection; code that awaits them gets the error. */
import { assert, assertEquals } from "@std/assert";
import { connect, serve } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  newTarget,
  ownRuntime,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";
import { startChecks, startService } from "../support/rpc_helper.ts";

for (const runtime of runtimes) {
  for (const client of ownRuntime) {
    for (const what of ["typed", "streams", "absent", "retry"]) {
      test(`${runtime} serves ${client}: forgotten promises of a closed remote: ${what}`, async () => {
        const target = newTarget();
        await startChecks(runtime, target);
        const closing = await spawn(client, "closing.ts", [target, what]);
        await closing.expect("closed");
        await closing.ended();
        assertEquals(closing.stderr, "");
      });
    }
  }

  for (const what of ["raw", "int"]) {
    test(`${runtime}: forgotten promises of closed handles: ${what}`, async () => {
      const closing = await spawn(runtime, "closing.ts", [newTarget(), what]);
      await closing.expect("closed");
      await closing.ended();
      assertEquals(closing.stderr, "");
    });
  }

  test(`${runtime}: a forgotten call that fails by itself is reported`, async () => {
    const target = newTarget();
    await startChecks("bun", target);
    const failing = await spawn(runtime, "closing.ts", [target, "failing"]);
    await failing.closed;
    assert(failing.stderr.includes("UNKNOWN_METHOD") || failing.stderr.includes("not offered"));
  });

  test(`${runtime} serves: a service killed while it reads a stream argument: SERVER_DIED`, async () => {
    const target = newTarget();
    const service = await startService(runtime, target);
    using remote = connect<{ waitFor(items: AsyncIterable<number>): string }>(target);
    async function* silent(): AsyncGenerator<number> {
      yield 0;
      await new Promise(() => {});
    }
    const call = doomed(remote.waitFor(silent()) as unknown as Promise<string>);
    await service.expect("got 0");
    service.kill("SIGKILL");
    await assertRejectsCode(call, "SERVER_DIED");
  });
}

test("calls on a channel that is removed end CANCELLED, not CLOSED", async () => {
  const target = newTarget();
  const api = { hold: () => new Promise<void>(() => {}), one: () => 1 };
  const first = serve(target, api);
  using remote = connect<typeof api>(target, { timeout: 30_000 });
  await remote.one();
  const held = doomed(remote.hold());
  first.unlink();
  const next = doomed(remote.one());
  await using second = serve(target, api);
  await assertRejectsCode(held, "CANCELLED");
  assertEquals(await next, 1);
  await eventually(() => second.stats().inFlight === 0);
  // Until then it may open its private path again.
  await first.close({ timeout: 0 });
});
