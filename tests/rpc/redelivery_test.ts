/** Only calls of idempotent methods are given to a second service. */
import { assertEquals, assertThrows } from "@std/assert";
import { connect, type ConnectOptions, serve, type ServiceOptions } from "../../mod.ts";
import type { Checks } from "../fixtures/typed_checks.ts";
import { assertRejectsCode, doomed, newTarget, runtimes, test } from "../support/harness.ts";
import { startChecks } from "../support/rpc_helper.ts";

interface Case {
  readonly what: string;
  readonly service: ServiceOptions;
  readonly client: ConnectOptions;
  readonly isHandedOn: boolean;
}

const cases: readonly Case[] = [
  { what: "undeclared", service: {}, client: {}, isHandedOn: false },
  { what: "the call allows two", service: {}, client: { maxDeliveries: 2 }, isHandedOn: false },
  {
    what: "the service declares all methods",
    service: { idempotent: true },
    client: {},
    isHandedOn: true,
  },
  {
    what: "the service declares it",
    service: { idempotent: ["hold"] },
    client: {},
    isHandedOn: true,
  },
  {
    what: "the service declares others",
    service: { idempotent: ["pid"] },
    client: {},
    isHandedOn: false,
  },
  {
    what: "the client declares it",
    service: {},
    client: { idempotent: ["hold"], retry: { attempts: 1 } },
    isHandedOn: true,
  },
  {
    what: "the client declares others",
    service: {},
    client: { idempotent: ["pid"], retry: { attempts: 1 } },
    isHandedOn: false,
  },
  {
    what: "the call allows one",
    service: { idempotent: true },
    client: { maxDeliveries: 1 },
    isHandedOn: false,
  },
];

for (const runtime of runtimes) {
  for (const { what, service, client, isHandedOn } of cases) {
    test(`${runtime} serves: a call whose service dies, ${what}`, async () => {
      const target = newTarget();
      const options = { ...service, maxDeliveries: 2 };
      const first = await startChecks(runtime, target, options);
      using remote = connect<Checks>(target, { timeout: 30_000, ...client });
      const call = doomed(remote.hold("it"));
      await first.expect('holding "it"');
      const second = await startChecks(runtime, target, options);
      await first.killed();
      if (isHandedOn) assertEquals(await call, "it");
      else await assertRejectsCode(call, "SERVER_DIED");
      assertEquals(await remote.runs(), isHandedOn ? 1 : 0);
      void second;
    });
  }

  test(`${runtime} serves: a call ends with its last service at once`, async () => {
    const target = newTarget();
    const service = await startChecks(runtime, target, { maxDeliveries: 3 });
    using remote = connect<Checks>(target);
    const calls = [doomed(remote.hold(1)), doomed(remote.hold(new Array(50_000).fill(7)))];
    await service.line();
    await service.line();
    await service.killed();
    // There is no other service, and no time-out.
    for (const call of calls) await assertRejectsCode(call, "SERVER_DIED");
  });

  test(`${runtime} serves: a long call that has not begun is handed on`, async () => {
    const target = newTarget();
    const options = { maxDeliveries: 2, maxRequestBytes: 4_096 };
    const first = await startChecks(runtime, target, options);
    using remote = connect<Checks>(target, { timeout: 30_000 });
    await first.stopped();
    const bytes = new Uint8Array(1_000_000).fill(3);
    const call = doomed(remote.check(bytes, 0, 0));
    const second = await startChecks(runtime, target, options);
    await first.killed();
    assertEquals(await call, 1_000_000);
    void second;
  });
}

test("idempotent: a TypeError unless it is a boolean or a list of names", () => {
  for (const idempotent of ["hold", 1, [1], {}]) {
    const options = { idempotent } as unknown as ServiceOptions & ConnectOptions;
    assertThrows(() => serve(newTarget(), { hold: () => 1 }, options), TypeError, "idempotent");
    assertThrows(() => connect(newTarget(), options), TypeError, "idempotent");
  }
});
