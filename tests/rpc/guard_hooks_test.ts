/** Hooks, consoles and tracers of users that fail: the calls go on. */
import { assert, assertEquals } from "@std/assert";
import { context, trace } from "@opentelemetry/api";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { type CallRecord, connect, serve } from "../../mod.ts";
import { eventually, isBare, test } from "../support/harness.ts";
import { transports } from "../support/sites.ts";
import { kinds, longBytes, outcome, reports, revoked, Trap, trapped } from "../support/hostile.ts";

for (const transport of transports) {
  test(`${transport.title}: user code fails: onCall, on both sides, sync and async`, async () => {
    for (const [kind, thrown] of Object.entries(kinds)) {
      for (const isLate of [false, true]) {
        const target = transport.newTarget();
        const told: CallRecord[] = [];
        const onCall = (call: CallRecord): unknown => {
          told.push(call);
          if (isLate) return Promise.reject(thrown());
          throw thrown();
        };
        const api = { ping: () => "pong", long: (bytes: Uint8Array) => bytes };
        const lines = await reports(async () => {
          await using service = serve(target, api, { onCall, maxRequestBytes: 4_096 });
          using remote = connect<typeof api>(target, { onCall });
          for (let round = 0; round < 3; round++) assertEquals(await remote.ping(), "pong", kind);
          assertEquals((await remote.long(longBytes)).byteLength, longBytes.byteLength);
          await eventually(() => told.length === 8);
          void service;
        });
        assertEquals(lines.length, 1, `${kind}: each error of a hook is told once`);
        assert(lines[0]!.includes("onCall"), lines[0]);
      }
    }
  });
}

for (const transport of transports) {
  test(`${transport.title}: user code fails: the console itself`, async () => {
    const target = transport.newTarget();
    const fail = () => {
      throw revoked();
    };
    const { error } = console;
    await using service = serve(target, { ping: () => "pong" }, { onCall: fail });
    using remote = connect<{ ping(): string }>(target, { onCall: fail });
    console.error = fail;
    try {
      for (let round = 0; round < 3; round++) assertEquals(await remote.ping(), "pong");
    } finally {
      console.error = error;
    }
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: user code fails: a tracer`, async () => {
    const key = Symbol.for("opentelemetry.js.api.1");
    const global = globalThis as unknown as Record<symbol, object>;
    const provider = new BasicTracerProvider({ spanProcessors: [] });
    trace.setGlobalTracerProvider(provider);
    const api = global[key]!;
    try {
      const target = transport.newTarget();
      const methods = {
        ping: () => "pong",
        later: async () => await Promise.resolve("pong"),
        fail: () => {
          throw new RangeError("x");
        },
      };
      let sprung = 0;
      const lines = await reports(async () => {
        await using service = serve(target, methods);
        using remote = connect<typeof methods>(target);
        for (const [kind, thrown] of Object.entries(kinds)) {
          for (let at = 1;; at++) {
            const trap = new Trap(at, thrown);
            global[key] = trapped({ ...api }, trap);
            assertEquals(await remote.ping(), "pong", `${kind} at ${at}`);
            assertEquals(await remote.later(), "pong", `${kind} at ${at}`);
            assertEquals(await outcome(remote.fail(), 0), "REMOTE", `${kind} at ${at}`);
            if (!trap.hasSprung) break;
            sprung += 1;
          }
        }
        void service;
      });
      assert(sprung > 20 * Object.keys(kinds).length, `${sprung}`);
      assert(lines.length <= 10 && lines.every((line) => line.includes("tracer")), lines.join());
    } finally {
      global[key] = api;
      trace.disable();
      context.disable();
      await provider.shutdown();
    }
  }, { skip: isBare ? "OpenTelemetry reads the environment" : null });
}

for (const transport of transports) {
  test(`${transport.title}: user code fails: a context manager that runs a method twice or never, or swallows its error`, async () => {
    const key = Symbol.for("opentelemetry.js.api.1");
    const global = globalThis as unknown as Record<symbol, unknown>;
    const span = {
      spanContext: () => ({ traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 }),
      setStatus: () => {},
      setAttribute: () => {},
      recordException: () => {},
      end: () => {},
    };
    const active = { getValue: () => undefined, setValue: () => active, deleteValue: () => active };
    const manners: Readonly<Record<string, (body: () => unknown) => unknown>> = {
      never: () => undefined,
      twice: (body) => [body(), body()],
      swallows: (body) => {
        try {
          body();
        } catch {
          // The point of this manner.
        }
      },
      late: (body) => {
        body();
        throw new Error("too late");
      },
    };
    for (const [manner, manage] of Object.entries(manners)) {
      global[key] = {
        trace: { getTracer: () => ({ startSpan: () => span }) },
        context: { active: () => active, with: (_: unknown, body: () => unknown) => manage(body) },
      };
      try {
        await reports(async () => {
          let runs = 0;
          const target = transport.newTarget();
          const api = {
            count: () => ++runs,
            fail: () => {
              throw new RangeError("x");
            },
          };
          await using service = serve(target, api);
          using remote = connect<typeof api>(target);
          assertEquals(await remote.count(), 1, manner);
          assertEquals(await outcome(remote.fail(), 0), "REMOTE", manner);
          assertEquals([await remote.count(), runs], [2, 2], manner);
          void service;
        });
      } finally {
        delete global[key];
      }
    }
  });
}
