/** Hooks of calls, trace context, spans, and schemas of arguments. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { context, SpanKind, trace } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { type } from "arktype";
import * as v from "valibot";
import * as z from "zod";
import {
  callContext,
  type CallRecord,
  connect,
  serve,
  TandemError,
  validated,
  withOptions,
} from "../../mod.ts";
import { assertRejectsCode, doomed, eventually, isBare, test } from "../support/harness.ts";
import { rejection, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

for (const transport of transports) {
  test(`${transport.title}: onCall gets each call and its outcome, on both sides`, async () => {
    const target = transport.newTarget();
    const heard: CallRecord[] = [];
    const api = {
      good: () => 1,
      later: async () => await Promise.resolve(2),
      bad: () => {
        throw new RangeError("no");
      },
      never: () => new Promise<void>(() => {}),
    };
    const service = serve(target, api, { onCall: (call) => heard.push(call) });
    using remote = connect<typeof api>(target, { onCall: (call) => heard.push(call) });
    await remote.good();
    await remote.later();
    await rejection(remote.bad());
    await assertRejectsCode(withOptions(remote, { timeout: 20 }).never(), "TIMEOUT");
    const controller = new AbortController();
    const aborted = doomed(withOptions(remote, { signal: controller.signal }).never());
    controller.abort(new Error("enough"));
    await rejection(aborted);
    await rejection((remote as unknown as { nothing(): Promise<void> }).nothing());
    const told = heard.map(({ side, method, outcome }) => `${side} ${method} ${outcome}`);
    assertEquals(told, [
      "service good ok",
      "client good ok",
      "service later ok",
      "client later ok",
      "service bad REMOTE",
      "client bad REMOTE",
      "client never TIMEOUT",
      "client never ABORTED",
      "client nothing UNKNOWN_METHOD",
    ]);
    for (const { attempts, duration, startedAt, error, outcome } of heard) {
      assertEquals(attempts, 1);
      assert(duration >= 0 && startedAt <= performance.now());
      assertEquals(error === undefined, outcome === "ok");
    }
    const late = heard.find(({ outcome }) => outcome === "TIMEOUT");
    assert(late && late.duration >= 15, "it says how long it took");
    // Two methods never end.
    await service.close({ timeout: 0 });
  });
}

for (const site of sites) {
  test(`${site.title}: the trace context of a call reaches its method`, async () => {
    using there = await typedAt(site);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assertEquals(await withOptions(there.remote, { traceparent }).traceparent(), traceparent);
    assertEquals(await there.remote.traceparent(), undefined);
  });
}

for (const transport of transports) {
  test(`${transport.title}: OpenTelemetry: calls and methods make spans`, async () => {
    const exporter = new InMemorySpanExporter();
    const processor = new SimpleSpanProcessor(exporter);
    const provider = new BasicTracerProvider({ spanProcessors: [processor] });
    trace.setGlobalTracerProvider(provider);
    try {
      const target = transport.newTarget();
      const api = {
        add: (a: number, b: number) => a + b,
        fail: () => {
          throw new RangeError("no");
        },
        seen: () => callContext()?.traceparent,
      };
      await using service = serve(target, api);
      using remote = connect<typeof api>(target);
      assertEquals(await remote.add(1, 2), 3);
      await rejection(remote.fail());
      const spans = exporter.getFinishedSpans();
      assertEquals(spans.map(({ name, kind }) => [name, kind]), [
        ["add", SpanKind.SERVER],
        ["add", SpanKind.CLIENT],
        ["fail", SpanKind.SERVER],
        ["fail", SpanKind.CLIENT],
      ]);
      const [served, called, , failed] = spans;
      assertEquals(served!.spanContext().traceId, called!.spanContext().traceId);
      assertEquals(served!.parentSpanContext?.spanId, called!.spanContext().spanId);
      assertEquals(called!.attributes["rpc.system"], "tandem");
      assertEquals(failed!.status, { code: 2, message: "REMOTE" });
      assertEquals(failed!.events[0]?.name, "exception");
      assert((await remote.seen())?.startsWith("00-"));
      // A span given by hand is the parent.
      exporter.reset();
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
      await withOptions(remote, { traceparent }).add(1, 2);
      const [, given] = exporter.getFinishedSpans();
      assertEquals(given!.parentSpanContext?.spanId, "b7ad6b7169203331");
      assertEquals(given!.spanContext().traceId, "0af7651916cd43dd8448eb211c80319c");
      void service;
    } finally {
      trace.disable();
      context.disable();
      // The exporter says a turn later that it is done.
      await processor.forceFlush();
      await provider.shutdown();
    }
  }, { skip: isBare ? "OpenTelemetry reads the environment" : null });
}

for (const transport of transports) {
  test(`${transport.title}: validated() checks arguments with zod, valibot and arktype`, async () => {
    const target = transport.newTarget();
    let called = 0;
    const api = {
      zod: validated(
        z.tuple([z.string().trim(), z.number().int().positive().default(64)]),
        (name, width) => {
          called += 1;
          return `${name} at ${width}`;
        },
      ),
      valibot: validated(
        v.tuple([v.string(), v.pipe(v.number(), v.minValue(1))]),
        (name, width) => {
          called += 1;
          return `${name} at ${width}`;
        },
      ),
      arktype: validated(
        type(["string", "number > 0"]),
        (name, width) => {
          called += 1;
          return `${name} at ${width}`;
        },
      ),
      later: validated(
        z.tuple([z.string().refine((name) => Promise.resolve(name !== "taken"), "is taken")]),
        (name) => name.toUpperCase(),
      ),
      *count(to: number) {
        for (let number = 0; number < to; number++) yield number;
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target);
    assertEquals(await remote.zod(" cat ", 128), "cat at 128");
    assertEquals(await remote.zod("cat", undefined), "cat at 64");
    assertEquals(await remote.valibot("cat", 1), "cat at 1");
    assertEquals(await remote.arktype("cat", 2), "cat at 2");
    assertEquals(await remote.later("free"), "FREE");
    assertEquals(called, 4);
    const wrong: [Promise<unknown>, string][] = [
      [remote.zod("cat", -1), "arguments[1]"],
      [remote.valibot("cat", 0), "arguments[1]"],
      [remote.valibot(7 as unknown as string, 1), "arguments[0]"],
      [remote.arktype("cat", -1), "arguments[1]"],
      [remote.later("taken"), "is taken"],
      [(remote.valibot as unknown as () => Promise<string>)(), "arguments"],
    ];
    for (const [call] of wrong) void doomed(call);
    for (const [call, message] of wrong) {
      const error = await rejection<TandemError & { issues: { message: string }[] }>(call);
      assertInstanceOf(error, TandemError);
      assertEquals(error.code, "INVALID_ARGUMENTS");
      assert(error.message.includes(message), error.message);
      assert(error.issues.length > 0 && error.issues[0]!.message.length > 0);
    }
    assertEquals(called, 4);
    await eventually(() => true);
    void service;
  });
}
