/** What calls over NATS promise beside the conformance suite in `../rpc`. */
import { assert, assertEquals } from "@std/assert";
import {
  callContext,
  Client,
  connect,
  serve,
  Server,
  type Service,
  type ServiceOptions,
  withOptions,
} from "../../mod.ts";
import {
  beginRequest,
  cancelFrame,
  Frame,
  frameKind,
  readWorking,
  requestBytes,
  setTimeLeft,
} from "../../src/nats/frames.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { tokenOf } from "../../src/nats/target.ts";
import type { Encoder } from "../../src/codec/encoder.ts";
import { Kind, withMessage } from "../../src/rpc/message.ts";
import { hooks } from "../support/codec_helper.ts";
import {
  afterEnd,
  assertRejectsCode,
  assertThrowsCode,
  atEnd,
  doomed,
  eventually,
  test,
} from "../support/harness.ts";
import { hasNats, natsAddress, newNatsTarget, rawConnection } from "../support/nats.ts";
import { assertEndsSoonWith, collect, rejection } from "../support/rpc_helper.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

/** A service that is closed when the test ends, whatever it works on. */
async function served(
  target: string,
  api: object,
  options: ServiceOptions = {},
): Promise<Service> {
  const service = serve(target, api, options);
  atEnd(() => service.close({ timeout: 0 }));
  await service.ready;
  return service;
}

function subjectOf(target: string): string {
  return `tandem.call.${tokenOf(target.slice(target.lastIndexOf("/") + 1))}`;
}

/** Methods that go on until they are told to end. */
class Holding {
  readonly ends: ((value: string) => void)[] = [];
  readonly reasons: string[] = [];

  hold(): Promise<string> {
    const { signal } = callContext()!;
    signal.addEventListener(
      "abort",
      () => this.reasons.push((signal.reason as { code: string }).code),
    );
    return new Promise((resolve) => this.ends.push(resolve));
  }

  ping(): string {
    return "pong";
  }
}

test("NATS: a name is one token of a subject, whatever it contains", async () => {
  const base = newNatsTarget();
  const names = [
    "a",
    "a.b",
    "a.*",
    "a.>",
    "*",
    ">",
    "a b",
    "a:b",
    "a=2Eb",
    "ä€😀",
    "a\tb",
    "%2e",
    "a/b",
  ];
  const tokens = names.map(tokenOf);
  assertEquals(new Set(tokens).size, names.length);
  for (const token of tokens) assert(/^[A-Za-z0-9_=-]+$/.test(token), token);
  for (const name of names) await served(`${base}-${name}`, { name: () => name });
  for (const name of names) {
    using remote = connect<{ name(): string }>(`${base}-${name}`, { timeout: 30_000 });
    assertEquals(await remote.name(), name);
  }
}, { skip });

test("NATS: wrong targets and options are refused at once", () => {
  const api = { ping: () => "pong" };
  for (
    const target of [
      "nats://",
      "nats://127.0.0.1:4222",
      "nats://127.0.0.1:4222/",
      "nats:///name",
      "nats://a b/name",
      "nats://host:port/name",
      `nats://host/${"x".repeat(129)}`,
    ]
  ) {
    let error: unknown;
    try {
      serve(target, api);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof TypeError, `${target}: ${String(error)}`);
  }
  const target = "nats://127.0.0.1:1/name";
  for (const prefix of ["", "a..b", "a b", "*", ".a"]) {
    let error: unknown;
    try {
      serve(target, api, { nats: { prefix } });
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof TypeError, prefix);
  }
});

test("NATS: forms that block, and what does not cross machines yet, are UNSUPPORTED", () => {
  const target = "nats://127.0.0.1:1/name";
  assertThrowsCode(() => Server.open(target), "UNSUPPORTED", "nats://");
  assertThrowsCode(() => Server.create(target), "UNSUPPORTED", "nats://");
  assertThrowsCode(() => Client.open(target), "UNSUPPORTED", "nats://");
  assertThrowsCode(() => Server.unlink(target), "UNSUPPORTED", "nats://");
});

test("NATS: when `ready` resolves, every client reaches the service", async () => {
  for (let round = 0; round < 10; round++) {
    const target = newNatsTarget();
    const service = serve(target, (bytes: Uint8Array) => bytes);
    await service.ready;
    const raw = await rawConnection();
    const answer = await raw.request(subjectOf(target), new Uint8Array([round]), {
      timeout: 30_000,
    });
    assertEquals([...answer.data], [round]);
    await service.close();
  }
}, { skip });

test("NATS: a service without room leaves the queue group, and returns at 75 %", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  const service = await served(target, api, { concurrency: 4 });
  using remote = connect<Holding>(target, { timeout: 30_000 });
  const calls = Array.from({ length: 4 }, () => doomed(remote.hold()));
  await eventually(() => api.ends.length === 4);
  const raw = await rawConnection();
  const isMember = async (): Promise<boolean> => {
    try {
      const headers = raw.newHeaders({ "Tandem-Method": "ping" });
      const answer = await raw.request(subjectOf(target), new Uint8Array(), {
        timeout: 30_000,
        headers,
      });
      return answer.headers?.get("Tandem-Error") !== "BUSY";
    } catch (error) {
      assert((error as { isNoResponders?(): boolean }).isNoResponders?.(), String(error));
      return false;
    }
  };
  // It has left; what it got before was turned away.
  while (await isMember());
  assertEquals(service.stats().inFlight, 4);
  await assertRejectsCode(withOptions(remote, { whenFull: "fail" }).ping(), "BUSY");
  const ping = (timeout: number) => withOptions(remote, { timeout }).ping();
  await assertEndsSoonWith("BUSY", ping, "concurrency");
  // Those that wait get through when a place is free.
  const waiting = Array.from({ length: 20 }, () => remote.ping());
  api.ends[0]!("first");
  assertEquals(await calls[0], "first");
  assertEquals(new Set(await Promise.all(waiting)), new Set(["pong"]));
  assert(await isMember(), "three of four places are taken");
}, { skip });

test(
  "NATS: no service: NO_SERVER when the time is over, and at once on request; one that comes gets the call",
  async () => {
    const target = newNatsTarget();
    using remote = connect<Holding>(target, { timeout: 30_000 });
    await assertRejectsCode(
      withOptions(remote, { whenAbsent: "fail" }).ping(),
      "NO_SERVER",
      target,
    );
    const ping = (timeout: number) => withOptions(remote, { timeout }).ping();
    await assertEndsSoonWith("NO_SERVER", ping, "prefix");
    const waiting = Promise.all(Array.from({ length: 20 }, () => remote.ping()));
    await served(target, new Holding());
    assertEquals(new Set(await waiting), new Set(["pong"]));
  },
  { skip },
);

/** A request as other programs of this package send it. */
function frameOf(method: string): Uint8Array<ArrayBuffer> {
  const write = (encoder: Encoder) => {
    encoder.text(method);
    encoder.list("arguments", []);
  };
  const bytes = withMessage(hooks, Kind.call, 0, Infinity, write, (message) => {
    const copy = new Uint8Array(message.byteLength);
    message.copyTo(copy);
    return copy;
  });
  const frame = beginRequest(bytes.byteLength, { pid: 7, uid: 8, runtime: "deno" });
  setTimeLeft(frame, Infinity);
  frame.set(bytes, requestBytes);
  return frame;
}

test(
  "NATS: a long call is reported as being worked on; a caller that is gone cancels it",
  async () => {
    const target = newNatsTarget();
    const api = new Holding();
    await served(target, api);
    const raw = await rawConnection();
    const inbox = `_INBOX.test${crypto.randomUUID().replaceAll("-", "")}`;
    const reports: number[][] = [];
    raw.subscribe(`${inbox}.*`, (subject, data) => {
      assertEquals([subject, frameKind(data)], [`${inbox}.0`, Frame.working]);
      reports.push(readWorking(data));
    });
    raw.publish(subjectOf(target), frameOf("hold"), `${inbox}.z`);
    raw.publish(subjectOf(target), frameOf("hold"), `${inbox}.10`);
    await eventually(() => reports.length === 2, "two reports");
    assertEquals(reports[0]!.toSorted(), [35, 36]);
    assertEquals(api.reasons, []);
    raw.publish(subjectOf(target).replace("call", "all"), cancelFrame(inbox, [36]));
    await eventually(() => api.reasons.length === 1, "one is cancelled");
    await raw.close();
    await eventually(() => api.reasons.length === 2, "the other is cancelled, too");
    assertEquals(api.reasons, ["CANCELLED", "CANCELLED"]);
  },
  { skip },
);

test("NATS: a service that is silent for five seconds: UNKNOWN_OUTCOME", async () => {
  const target = newNatsTarget();
  const raw = await rawConnection();
  let requests = 0;
  raw.subscribe(subjectOf(target), () => void (requests += 1));
  await raw.flush();
  using remote = connect<Holding>(target, { timeout: 60_000 });
  const began = performance.now();
  await assertRejectsCode(remote.ping(), "UNKNOWN_OUTCOME", target);
  assert(performance.now() - began > 3_500, "that was no silence");
  assertEquals(requests, 1);
  // It may run twice, so it is tried again.
  const hasty = withOptions(remote, { idempotent: true, retry: { attempts: 2 }, timeout: 300 });
  await assertRejectsCode(hasty.ping(), "TIMEOUT");
  assertEquals(requests, 2);
}, { skip });

test("NATS: a cancel reaches the service that works on the call, soon and late", async () => {
  const target = newNatsTarget();
  const apis = [new Holding(), new Holding(), new Holding()];
  for (const api of apis) await served(target, api);
  using remote = connect<Holding>(target, { timeout: 30_000 });
  for (const isLate of [false, true]) {
    for (const api of apis) {
      api.ends.length = 0;
      api.reasons.length = 0;
    }
    const stop = new AbortController();
    const call = doomed(withOptions(remote, { signal: stop.signal }).hold());
    const others = Array.from({ length: 5 }, () => doomed(remote.hold()));
    await eventually(() => apis.reduce((sum, { ends }) => sum + ends.length, 0) === 6);
    // Then the caller has heard of its service.
    if (isLate) await new Promise((resolve) => setTimeout(resolve, 1_200));
    stop.abort(new Error("enough"));
    assertEquals((await rejection(call)).message, "enough");
    await eventually(() => apis.some(({ reasons }) => reasons.length > 0), "the handler is told");
    assertEquals(apis.flatMap(({ reasons }) => reasons), ["CANCELLED"]);
    for (const { ends } of apis) for (const end of ends) end("done");
    assertEquals(await Promise.all(others), others.map(() => "done"));
  }
}, { skip });

test("NATS: programs without this package call with a name in a header and bytes", async () => {
  const target = newNatsTarget();
  const seen: unknown[] = [];
  await served(target, {
    upper: (bytes: Uint8Array) => {
      const context = callContext()!;
      seen.push(context.method, context.timeRemaining <= 5_000);
      return new TextDecoder().decode(bytes).toUpperCase();
    },
    fails: () => {
      throw new RangeError("no\r\nway");
    },
  });
  const raw = await rawConnection();
  const ask = (fields: Record<string, string>) =>
    raw.request(subjectOf(target), new TextEncoder().encode("hello"), {
      timeout: 30_000,
      headers: raw.newHeaders(fields),
    });
  const answer = await ask({ "Tandem-Method": "upper", "Tandem-Timeout": "5000" });
  assertEquals(new TextDecoder().decode(answer.data), "HELLO");
  assertEquals(seen, ["upper", true]);
  const failure = await ask({ "Tandem-Method": "fails" });
  assertEquals(failure.headers!.get("Tandem-Error"), "REMOTE");
  assertEquals(failure.headers!.get("Nats-Service-Error"), "no way");
  assertEquals(failure.headers!.get("Nats-Service-Error-Code"), "500");
  const unknown = await ask({ "Tandem-Method": "other" });
  assertEquals(unknown.headers!.get("Tandem-Error"), "UNKNOWN_METHOD");
  // No frame, whatever it begins with.
  const garbage = [
    new Uint8Array([0xff, 0x54, 9, 1, 0, 0, 0, 0]),
    new Uint8Array([0xff, 0x54, 99, 1, 0, 0, 0, 0]),
    new Uint8Array([0xff, 0x54, 1, 1]),
  ];
  for (const bytes of garbage) raw.publish(subjectOf(target), bytes, raw.inbox());
  assertEquals(new TextDecoder().decode((await ask({ "Tandem-Method": "upper" })).data), "HELLO");
}, { skip });

test("NATS: a service answers what NATS's own tools ask", async () => {
  const target = newNatsTarget();
  const name = tokenOf(target.slice(target.lastIndexOf("/") + 1)).replaceAll("=", "_");
  const service = await served(target, { ping: () => "pong" });
  using remote = connect<Holding>(target, { timeout: 30_000 });
  await remote.ping();
  const raw = await rawConnection();
  const ask = async (subject: string) => {
    const { data } = await raw.request(subject, new Uint8Array(), { timeout: 30_000 });
    return JSON.parse(new TextDecoder().decode(data));
  };
  const ping = await ask(`$SRV.PING.${name}`);
  assertEquals([ping.type, ping.name], ["io.nats.micro.v1.ping_response", name]);
  assertEquals((await ask(`$SRV.PING.${name}.${ping.id}`)).id, ping.id);
  const info = await ask(`$SRV.INFO.${name}.${ping.id}`);
  assertEquals(info.endpoints[0].subject, subjectOf(target));
  const stats = await ask(`$SRV.STATS.${name}`);
  assertEquals([stats.type, stats.endpoints[0].num_requests], [
    "io.nats.micro.v1.stats_response",
    1,
  ]);
  const { processing_time, average_processing_time } = stats.endpoints[0];
  assert(Number.isInteger(processing_time) && processing_time > 0, String(processing_time));
  assertEquals(average_processing_time, processing_time);
  await service.close();
  // What is on its way while it leaves is lost.
  for (;;) {
    const request = raw.request(`$SRV.PING.${name}`, new Uint8Array(), { timeout: 300 });
    const gone = await rejection<Error & { isNoResponders?(): boolean }>(request);
    if (gone.isNoResponders?.()) break;
  }
}, { skip });

test(
  "NATS: services and clients with other prefixes do not meet; a given connection stays open",
  async () => {
    const target = newNatsTarget();
    const raw = await rawConnection();
    const nats = { connection: raw.connection, prefix: "shop.eu" };
    const service = serve(target, { ping: () => "shop" }, { nats });
    await service.ready;
    await served(target, { ping: () => "other" });
    const shop = connect<Holding>(target, { timeout: 30_000, nats });
    using shopOfItsOwn = connect<Holding>(target, { timeout: 30_000, nats: { prefix: "shop.eu" } });
    using other = connect<Holding>(target, { timeout: 30_000 });
    assertEquals(await shop.ping(), "shop");
    assertEquals(await shopOfItsOwn.ping(), "shop");
    assertEquals(await other.ping(), "other");
    shop[Symbol.dispose]();
    await service.close();
    await raw.flush();
  },
  { skip },
);

test("NATS: errors never show the password of a target", async () => {
  afterEnd(linksClosed);
  const target = `nats://me:secret@${hasNats ? natsAddress() : "127.0.0.1:1"}/hidden`;
  using remote = connect<Holding>(target, { timeout: 200 });
  assert(!String(remote).includes("secret"), String(remote));
  const error = await rejection<Error & { target: string }>(remote.ping());
  assert(!`${error.message} ${error.target} ${error.stack}`.includes("secret"), error.message);
}, { skip });

test(
  "NATS: a stream arrives in order, and its generator is at most eight items ahead",
  async () => {
    const target = newNatsTarget();
    let made = 0;
    await served(target, {
      async *count(to: number) {
        for (let number = 0; number < to; number++) {
          made = number + 1;
          yield number;
        }
      },
    });
    using remote = connect<{ count(to: number): AsyncIterable<number> }>(target, {
      timeout: 30_000,
    });
    assertEquals(
      await collect(remote.count(100)),
      Array.from({ length: 100 }, (_, number) => number),
    );
    let read = 0;
    for await (const number of remote.count(1_000)) {
      read = number + 1;
      if (read === 1) await eventually(() => made === 9, "eight items are made ahead");
      assert(made <= read + 8, `${made} items were made when ${read} were read`);
      if (read === 50) break;
    }
    assert(made <= 58, String(made));
  },
  { skip },
);
