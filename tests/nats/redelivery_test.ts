/** Calls over NATS that another service gets when one is lost. */
import { join } from "node:path";
import { assert, assertEquals } from "@std/assert";
import {
  callContext,
  connect,
  proxy,
  type Remote,
  serve,
  type Service,
  type ServiceOptions,
  withOptions,
} from "../../mod.ts";
import { beginRequest, setTimeLeft, whoFrame } from "../../src/nats/frames.ts";
import { linksClosed, tickMilliseconds } from "../../src/nats/link.ts";
import { streamName } from "../../src/nats/work_queue/names.ts";
import { readOrigin } from "../../src/nats/work_queue/origin.ts";
import type { Api } from "../fixtures/typed.ts";
import {
  afterEnd,
  assertRejectsCode,
  atEnd,
  type Child,
  doomed,
  eventually,
  folder,
  longEnough,
  runtime,
  sleep,
  spawn,
  test as register,
} from "../support/harness.ts";
import {
  hasNats,
  natsAddress,
  newNatsTarget,
  type RawConnection,
  rawConnection,
} from "../support/nats.ts";
import { NatsProxy } from "../support/nats_proxy.ts";
import { type NatsServer, startNatsServer, withJetStream } from "../support/nats_server.ts";
import { assertEndsSoonWith, collect } from "../support/rpc_helper.ts";

const both = { maxDeliveries: 2, idempotent: true } as const;

function test(name: string, body: () => Promise<void>): void {
  register(`NATS redelivery: ${name}`, body, {
    skip: hasNats ? null : "scripts/setup --tests installs a NATS server",
  });
}

/** A service in this process with a link of its own, closed when the test ends whatever it works on. */
async function served(
  target: string,
  api: object,
  options: ServiceOptions = both,
): Promise<Service> {
  const service = serve(target, api, { nats: { name: "service" }, ...options });
  atEnd(() => service.close({ timeout: 0 }));
  await service.ready;
  return service;
}

function started(target: string, options: ServiceOptions = both): Promise<Child> {
  return spawn(runtime, "typed.ts", [target, JSON.stringify(options)], {
    denoPermissions: ["-A"],
  });
}

async function newServer(config: string = withJetStream, port = -1): Promise<NatsServer> {
  const server = await startNatsServer(config, port);
  afterEnd(linksClosed);
  afterEnd(() => server.kill());
  return server;
}

/** The configuration of a server with JetStream in a folder of the test. */
function storeIn(name: string): string {
  return `jetstream { store_dir: ${JSON.stringify(join(folder(), name))} }`;
}

/** What the server says of a stream. */
interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: { readonly messages: number };
  readonly error?: { readonly description: string };
}

function nameOf(target: string): Promise<string> {
  return streamName("tandem", target.slice(target.lastIndexOf("/") + 1));
}

/** How many calls are in the queue of a target. */
async function queued(raw: RawConnection, target: string): Promise<number> {
  const info = await raw.ask<StreamInfo>(`STREAM.INFO.${await nameOf(target)}`);
  return info.state.messages;
}

/** Whether the server has found nobody at a subject. */
function isUnheard(error: unknown): boolean {
  return (error as Error).name === "NoRespondersError" ||
    String(error).toLowerCase().includes("no responders");
}

/** Methods that go on until they are told to end, and note how often they were begun. */
class Holding {
  readonly begun: string[] = [];
  readonly reasons: string[] = [];
  readonly ends: (() => void)[] = [];

  async hold(name: string): Promise<string> {
    const { signal, deliveries } = callContext()!;
    this.begun.push(`${name} ${deliveries}`);
    signal.addEventListener("abort", () => this.reasons.push(signal.reason.code));
    await new Promise<void>((resolve) => this.ends.push(resolve));
    return name;
  }

  count(): number {
    return this.begun.length;
  }

  ping(name: string): string {
    this.begun.push(`${name} ${callContext()!.deliveries}`);
    return name;
  }
}

test("services die in a call: others get it, as often as it is allowed", async () => {
  const target = newNatsTarget();
  const first = await started(target);
  await first.expect("ready");
  using remote: Remote<Api> = connect<Api>(target, { timeout: 120_000 });
  const twice = doomed(remote.holdOnce());
  await first.expect("holding 1");
  const always = doomed(remote.hold());
  await first.expect("holding 1");
  // Only one service may have it.
  const once = doomed(withOptions(remote, { maxDeliveries: 1 }).hold());
  await first.expect("holding 1");
  const second = await started(target);
  await second.expect("ready");
  await first.killed();
  await second.expect("holding 2");
  assertEquals(await twice, "delivery 2");
  await assertRejectsCode(once, "UNKNOWN_OUTCOME");
  const third = new Holding();
  await served(target, { hold: () => third.hold("x") });
  await second.killed();
  await assertRejectsCode(always, "UNKNOWN_OUTCOME");
  assertEquals(third.begun, []);
});

test("a method that must not run twice: UNKNOWN_OUTCOME, and no other service runs it", async () => {
  const target = newNatsTarget();
  const first = await started(target, { maxDeliveries: 3, idempotent: ["holdOnce"] });
  await first.expect("ready");
  using remote: Remote<Api> = connect<Api>(target, { timeout: 120_000 });
  const call = doomed(remote.hold());
  await first.expect("holding 1");
  const other = new Holding();
  await served(target, { hold: () => other.hold("x") }, { maxDeliveries: 3 });
  await first.killed();
  await assertRejectsCode(call, "UNKNOWN_OUTCOME");
  assertEquals(other.begun, []);
});

test("a service's word that nobody else may begin gets lost: nobody begins", async () => {
  await using way = await NatsProxy.start(Number(new URL(`nats://${natsAddress()}`).port));
  const target = newNatsTarget();
  const api = new Holding();
  await served(target.replace(natsAddress(), way.address), api, { maxDeliveries: 3 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const lost: string[] = [];
  way.losses.add((subject, payload) => {
    if (!subject.startsWith("$JS.ACK.")) return false;
    lost.push(new TextDecoder().decode(payload));
    return true;
  });
  const call = doomed(remote.hold("x"));
  const idempotent = doomed(withOptions(remote, { idempotent: true }).hold("y"));
  await eventually(() => api.begun.length === 1 && lost.length >= 1);
  await assertRejectsCode(call, "UNKNOWN_OUTCOME", "confirmed");
  assertEquals([api.begun, lost[0]], [["y 1"], "+ACK"]);
  way.losses.clear();
  api.ends[0]!();
  assertEquals(await idempotent, "y");
});

test("the link is lost while a service's word is on its way: it does not begin", async () => {
  await using way = await NatsProxy.start(Number(new URL(`nats://${natsAddress()}`).port));
  const target = newNatsTarget();
  const api = new Holding();
  await served(target.replace(natsAddress(), way.address), api, { maxDeliveries: 3 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  way.losses.add((subject) => {
    if (subject.startsWith("$JS.ACK.")) way.cut();
    return subject.startsWith("$JS.ACK.");
  });
  await assertRejectsCode(remote.hold("x"), "UNKNOWN_OUTCOME", "confirmed");
  assertEquals(api.begun, []);
  way.losses.clear();
  assertEquals(await remote.ping("y"), "y");
});

test("a call is cancelled, and a service closes, before the server confirms that it begins", async () => {
  await using way = await NatsProxy.start(Number(new URL(`nats://${natsAddress()}`).port));
  const target = newNatsTarget();
  const api = new Holding();
  const direct = target.replace(natsAddress(), way.address);
  const service = await served(direct, api, { maxDeliveries: 3 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  let held = 0;
  way.losses.add((subject) => {
    if (subject.startsWith("$JS.ACK.")) held += 1;
    return false;
  });
  way.deliveryLosses.add((_, payload) => held > 0 && payload.byteLength === 0);
  const stop = new AbortController();
  const cancelled = doomed(withOptions(remote, { signal: stop.signal }).hold("x"));
  await eventually(() => held === 1);
  stop.abort(new Error("no longer"));
  await cancelled.catch(() => {});
  await eventually(() => service.stats().cancelled === 1);
  const closed = doomed(remote.hold("y"));
  await eventually(() => held >= 2);
  await service.close({ timeout: 0 });
  await assertRejectsCode(closed, "SERVER_DIED");
  assertEquals(api.begun, []);
});

test("a service stands still: another one answers, and its late answer does no harm", async () => {
  const target = newNatsTarget();
  const still = await started(target);
  await still.expect("ready");
  using remote: Remote<Api> = connect<Api>(target, { timeout: 120_000 });
  assertEquals(await remote.pid(), still.pid);
  const raw = await rawConnection();
  await eventually(async () => await queued(raw, target) === 0);
  await still.stopped();
  // It has asked for calls, so it gets this one.
  const answers: unknown[] = [];
  const call = remote.pid().then((pid) => answers.push(pid));
  await eventually(async () => await queued(raw, target) === 1);
  const service = await served(target, { pid: () => -callContext()!.deliveries });
  await call;
  assertEquals(answers, [-2]);
  still.kill("SIGCONT");
  await service.close();
  // It does what it had got before.
  assertEquals(await remote.pid(), still.pid);
  assertEquals(answers, [-2]);
  await eventually(async () => await queued(raw, target) === 0);
});

test("the server is started again while calls wait and run", async () => {
  const store = storeIn("store");
  const server = await newServer(store);
  const target = `nats://${server.address}/again`;
  const api = new Holding();
  await served(target, api, { ...both, concurrency: 1 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const calls = ["a", "b", "c"].map((name) => doomed(remote.hold(name)));
  const raw = await rawConnection(server.address);
  await eventually(async () => api.begun.length === 1 && await queued(raw, target) === 3);
  await raw.close();
  await server.kill();
  await newServer(store, server.port);
  let isOver = false;
  const ending = eventually(() => {
    for (const end of api.ends.splice(0)) end();
    return isOver;
  });
  assertEquals(await Promise.all(calls), ["a", "b", "c"]);
  isOver = true;
  await ending;
  const after = await rawConnection(server.address);
  await eventually(async () => await queued(after, target) === 0);
});

test("calls that end while they wait are not run; one that runs hears of it", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  await served(target, api, { ...both, concurrency: 1 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const running = new AbortController();
  const first = doomed(withOptions(remote, { signal: running.signal }).hold("running"));
  await eventually(() => api.begun.length === 1);
  const raw = await rawConnection();
  const waiting = new AbortController();
  const cancelled = doomed(withOptions(remote, { signal: waiting.signal }).hold("cancelled"));
  const leaving = connect<Holding>(target, { timeout: 120_000 });
  const left = doomed(leaving.hold("left"));
  await eventually(async () => await queued(raw, target) === 3);
  waiting.abort(new Error("no longer"));
  leaving[Symbol.dispose]();
  await assertRejectsCode(left, "CLOSED");
  await eventually(async () => await queued(raw, target) === 1, "they have left the queue");
  const late = doomed(withOptions(remote, { timeout: 300 }).hold("late"));
  await assertRejectsCode(late, "TIMEOUT");
  running.abort(new Error("no longer"));
  await eventually(() => api.reasons.length === 1);
  api.ends[0]!();
  assertEquals(await remote.ping("next"), "next");
  assertEquals(api.begun, ["running 1", "next 1"]);
  assertEquals(api.reasons, ["CANCELLED"]);
  for (const call of [first, cancelled]) {
    const error = await call.then(() => null, (error: Error) => error);
    assertEquals(error?.message, "no longer");
  }
  await eventually(async () => await queued(raw, target) === 0);
});

test("stats().queued: calls that have come from the queue after the last place was taken", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  const service = await served(target, api, { ...both, concurrency: 1 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const numbers = () => {
    const { inFlight, queued } = service.stats();
    return { inFlight, queued };
  };
  assertEquals(numbers(), { inFlight: 0, queued: 0 });
  // It passes the queue by, and takes the place for which the service has asked the queue.
  const direct = withOptions(remote, { maxDeliveries: 1 }).hold("direct");
  await eventually(() => api.begun.length === 1);
  const waiting = remote.ping("waiting");
  await eventually(() => service.stats().queued === 1);
  assertEquals(numbers(), { inFlight: 2, queued: 1 });
  // This one stays in the queue.
  const later = remote.ping("later");
  const raw = await rawConnection();
  await eventually(async () => await queued(raw, target) === 2);
  assertEquals(numbers(), { inFlight: 2, queued: 1 });
  api.ends[0]!();
  assertEquals(await Promise.all([direct, waiting, later]), ["direct", "waiting", "later"]);
  await eventually(() => service.stats().inFlight === 0);
  assertEquals(numbers(), { inFlight: 0, queued: 0 });
});

test("a service that is closed hands calls back, also those that it has not begun", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  const options = { maxDeliveries: 2, idempotent: ["hold"], concurrency: 3 };
  const closing = await served(target, api, options);
  using remote = connect<Holding & { wait(): Promise<void> }>(target, { timeout: 120_000 });
  const calls = ["a", "b"].map((name) => doomed(remote.hold(name)));
  await eventually(() => api.begun.length === 2);
  const next = new Holding();
  await closing.close({ timeout: 0 });
  assertEquals(api.reasons, ["CANCELLED", "CANCELLED"]);
  const waiting = doomed(remote.ping("w"));
  await served(target, next, options);
  await eventually(() => next.ends.length === 2);
  for (const end of next.ends) end();
  assertEquals(await Promise.all(calls), ["a", "b"]);
  assertEquals(await waiting, "w");
  assertEquals(next.begun.sort(), ["a 2", "b 2", "w 1"]);
});

test("a service that closes does not turn away what another one may have begun", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  const closing = await served(target, api, { maxDeliveries: 3, concurrency: 1 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  using direct = withOptions(remote, { maxDeliveries: 1 });
  assertEquals(await remote.ping("warm"), "warm");
  const first = doomed(direct.hold("first"));
  await eventually(() => api.ends.length === 1);
  // A service that begins with a call, and of which the queue hears no more. The other one is busy, and its question for
  // calls ends.
  const raw = await rawConnection();
  const ticket = Promise.withResolvers<string>();
  const inbox = raw.inbox();
  raw.connection.subscribe(inbox, {
    callback: (_, { reply = "" }) => void (reply && ticket.resolve(reply)),
  });
  const name = await nameOf(target);
  const question = new TextEncoder().encode(JSON.stringify({ batch: 1, expires: 60e9 }));
  await eventually(async () => {
    const { num_waiting } = await raw.ask<{ num_waiting: number }>(
      `CONSUMER.INFO.${name}.services`,
    );
    return num_waiting === 0;
  });
  raw.publish(`$JS.API.CONSUMER.MSG.NEXT.${name}.services`, question, inbox);
  await raw.flush();
  const call = doomed(remote.ping("once"));
  const reply = await ticket.promise;
  // The first service asks again, has no place for a while, and closes.
  api.ends.shift()!();
  await first;
  const second = doomed(direct.hold("second"));
  await eventually(() => api.ends.length === 1);
  raw.publish(reply, new TextEncoder().encode("-NAK"));
  await raw.flush();
  await served(target, api, { maxDeliveries: 3, nats: { name: "other" } });
  const closed = closing.close();
  api.ends.shift()!();
  await assertRejectsCode(call, "UNKNOWN_OUTCOME");
  await Promise.all([second.catch(() => {}), closed]);
  assertEquals(api.begun.filter((one) => one.startsWith("once")), []);
});

test("a service that gets again what it still works on goes on with it", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  await served(target, api, { ...both, maxDeliveries: 4 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const name = await nameOf(target);
  const raw = await rawConnection();
  const told: string[] = [];
  raw.subscribe(`$JS.ACK.${name}.>`, (subject, data) => {
    const word = new TextDecoder().decode(data);
    told.push(word);
    // As if the service had been silent.
    if (word === "+WPI") raw.publish(subject, new TextEncoder().encode("-NAK"));
  });
  await raw.flush();
  const call = doomed(remote.hold("x"));
  await eventually(async () => {
    const consumer = await raw.ask(`CONSUMER.INFO.${name}.services`);
    return (consumer as { num_redelivered: number }).num_redelivered === 1;
  });
  await eventually(() => remote.ping("y").then(() => true));
  assertEquals(api.begun, ["x 1", "y 1"]);
  api.ends[0]!();
  assertEquals(await call, "x");
  await eventually(async () => await queued(raw, target) === 0);
  assertEquals(told.filter((word) => word !== "+WPI" && word !== "-NAK"), ["+ACK", "+ACK"]);
});

test("what is no call, or names a subject of the server for its answer, is dropped", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  // With one place, the service asks for one call at a time.
  const service = await served(target, api, { ...both, concurrency: 1 });
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const raw = await rawConnection();
  const subjects: string[] = [];
  raw.subscribe("$JS.API.CONSUMER.DELETE.>", (subject) => subjects.push(subject));
  const subject = `tandem.queue.${target.slice(target.lastIndexOf("/") + 1)}`;
  const frame = beginRequest(3, { pid: 1, uid: 1, runtime: "bun" });
  setTimeLeft(frame, 60_000);
  for (const answerTo of ["$JS.API.CONSUMER.DELETE.a.b", "a b", "a.*", ">", ""]) {
    const headers = raw.newHeaders(answerTo === "" ? {} : { "Nats-Msg-Id": answerTo });
    await raw.request(subject, frame, { timeout: 30_000, headers });
  }
  for (const data of [new Uint8Array(), new Uint8Array(9), frame.subarray(0, 20)]) {
    const headers = raw.newHeaders({ "Nats-Msg-Id": `some.where.${data.byteLength}` });
    await raw.request(subject, data, { timeout: 30_000, headers });
  }
  await eventually(async () => await queued(raw, target) === 0);
  assertEquals(service.stats().requests, 0);
  // The same past the queue.
  const question = "$JS.API.CONSUMER.DELETE.a.b";
  raw.publish(subject.replace("queue", "call"), new Uint8Array(), question);
  raw.publish(subject.replace("queue", "call"), frame, question);
  // Others may ask a service who it is, and it would answer with rights that they lack.
  raw.publish(subject.replace("queue", "all"), whoFrame(), question);
  for (const verb of ["PING", "INFO", "STATS"]) {
    raw.publish(`$SRV.${verb}`, new Uint8Array(), question);
  }
  await raw.flush();
  assertEquals(await remote.ping("a"), "a");
  await raw.flush();
  assertEquals([subjects, api.begun], [[], ["a 1"]]);
});

test("ledger: services come and go, each call is answered, and what is answered is not run again", async () => {
  const target = newNatsTarget();
  const raw = await rawConnection();
  const runs: Map<number, number> = new Map();
  const answered: Set<number> = new Set();
  const again: number[] = [];
  const api = {
    async work(number: number): Promise<number> {
      if (answered.has(number)) again.push(number);
      runs.set(number, (runs.get(number) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 2));
      return number;
    },
  };
  const options = { maxDeliveries: 31, idempotent: true, concurrency: 8 };
  let service = await served(target, api, options);
  using remote = connect<typeof api>(target, { timeout: 120_000 });
  let isOver = false;
  const comeAndGo = (async () => {
    for (let round = 0; !isOver && round < 12; round++) {
      await eventually(() => answered.size >= 40 * round || isOver);
      const next = await served(target, api, options);
      await service.close(round % 2 === 0 ? { timeout: 0 } : {});
      service = next;
    }
  })();
  const numbers = Array.from({ length: 500 }, (_, index) => index);
  await Promise.all(numbers.map(async (number) => {
    assertEquals(await remote.work(number), number);
    answered.add(number);
  }));
  isOver = true;
  await comeAndGo;
  assertEquals([answered.size, runs.size, again], [500, 500, []]);
  await eventually(async () => await queued(raw, target) === 0, "all are acknowledged");
});

test("messages of the caller get lost, and its link is cut: each call runs once", async () => {
  const { port } = new URL(`nats://${natsAddress()}`);
  await using way = await NatsProxy.start(Number(port));
  const direct = newNatsTarget();
  const api = new Holding();
  await served(direct, api);
  const target = direct.replace(natsAddress(), way.address);
  using remote = connect<Holding>(target, { timeout: 120_000, nats: { name: "caller" } });
  assertEquals(await remote.ping("first"), "first");
  const isCall = (subject: string) => subject.startsWith("tandem.queue.");
  let lost = 0;
  way.losses.add((subject) => isCall(subject) && (lost += 1) === 1);
  assertEquals(await remote.ping("lost"), "lost");
  // The server may have the call, and its word that it has it may be lost.
  way.losses.clear();
  way.losses.add((subject) => {
    if (!isCall(subject)) return false;
    way.losses.clear();
    setTimeout(() => way.cut(), 0);
    return false;
  });
  const held = doomed(remote.hold("cut"));
  // An answer on a link that dies is lost.
  await eventually(() => api.ends.length === 1 && way.connections === 2);
  await eventually(
    () => remote.ping("again").then(() => true, () => false),
    "the link is there again",
  );
  api.ends[0]!();
  assertEquals(await held, "cut");
  assertEquals(api.begun.filter((name) => name !== "again 1"), ["first 1", "lost 1", "cut 1"]);
});

test("an answer waits for a caller whose link is cut", async () => {
  await using way = await NatsProxy.start(Number(new URL(`nats://${natsAddress()}`).port));
  const direct = newNatsTarget();
  const api = new Holding();
  const service = await served(direct, api);
  const target = direct.replace(natsAddress(), way.address);
  using remote = connect<Holding>(target, { timeout: 120_000, nats: { name: "caller" } });
  const call = doomed(remote.hold("x"));
  await eventually(() => api.ends.length === 1);
  const raw = await rawConnection();
  const stream = await nameOf(direct);
  const { message } = await raw.ask(`STREAM.MSG.GET.${stream}`, { seq: 1 }) as {
    message: { hdrs: string };
  };
  const [, answerTo] = /Nats-Msg-Id: *(\S+)/.exec(atob(message.hdrs))!;
  // It comes back only when it may.
  way.hold();
  way.cut();
  await eventually(
    () => raw.request(answerTo!, new Uint8Array(), { timeout: 100 }).then(() => false, isUnheard),
    "nobody listens for the answer",
  );
  api.ends[0]!();
  await eventually(() => service.stats().replies === 1);
  await raw.flush();
  way.release();
  assertEquals(await call, "x");
  assertEquals(api.begun, ["x 1"]);
  await eventually(async () => await queued(raw, direct) === 0);
});

test("long messages, streams and functions", async () => {
  const server = await newServer(`max_payload: 8192\n${withJetStream}`);
  const target = `nats://${server.address}/long`;
  const api = {
    echo: (bytes: Uint8Array) => bytes,
    async *parts(bytes: Uint8Array) {
      for (let count = 0; count < 3; count++) yield await Promise.resolve(bytes);
    },
    call: async (back: (value: number) => Promise<number>) => await back(3) + 1,
    async sum(numbers: AsyncIterable<number>) {
      let sum = 0;
      for await (const number of numbers) sum += number;
      return sum;
    },
    fail: () => {
      throw new RangeError("as it was asked to");
    },
  };
  await served(target, api);
  using remote = connect<typeof api>(target, { timeout: 120_000 });
  for (const length of [8_000, 100_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
    assertEquals(await remote.echo(bytes), bytes);
  }
  const items = await collect(remote.parts(new Uint8Array(20_000)));
  assertEquals(items.map(({ byteLength }) => byteLength), [20_000, 20_000, 20_000]);
  assertEquals(await remote.call(proxy((value: number) => Promise.resolve(value * 2))), 7);
  async function* numbers() {
    for (const number of [1, 2, 3]) yield await Promise.resolve(number);
  }
  assertEquals(await remote.sum(numbers()), 6);
  await assertRejectsCode(remote.fail(), "REMOTE", "as it was asked to");
});

test("names neither break nor merge queues", async () => {
  const base = newNatsTarget();
  const names = ["a.b", "a*", "a>", "a b", "a:b", "a_b", "a_-b", "a=2Eb", `${"é".repeat(55)}.b`];
  const streams = await Promise.all(
    ["a.b", "a_b", "a_-b", "a"].flatMap((prefix) =>
      ["b=c", "b_-c", "c", "_-b=c", "x".repeat(384)].map((token) => streamName(prefix, token))
    ),
  );
  assertEquals(new Set(streams).size, 20);
  for (const name of streams) assert(/^[A-Za-z0-9_=-]{1,200}$/.test(name), name);
  for (const name of names) await served(`${base}-${name}`, { name: () => name });
  for (const name of names) {
    using remote = connect<{ name(): string }>(`${base}-${name}`, { timeout: 120_000 });
    // The second one goes to the queue at once.
    assertEquals([await remote.name(), await remote.name()], [name, name]);
  }
  for (const subject of ["", "$JS.ACK", "$JS.ACK.s.c.0.1.1.1.1", "a.b.c.d.1.1.1.1.1"]) {
    assertEquals(readOrigin(subject), null, subject);
  }
  const expected = { deliveries: 2, storedAt: 5 };
  assertEquals(readOrigin("$JS.ACK.s.c.2.7.8.5000000.0"), expected);
  assertEquals(readOrigin("$JS.ACK.hub.account.s.c.2.7.8.5000000.0.token"), expected);
});

test("a full queue: BUSY at once, or when the time is over", async () => {
  const target = newNatsTarget();
  const raw = await rawConnection();
  const api = new Holding();
  await served(target, api, { ...both, concurrency: 1 });
  const name = await nameOf(target);
  const { config } = await raw.ask<StreamInfo>(`STREAM.INFO.${name}`);
  const updated = await raw.ask(`STREAM.UPDATE.${name}`, { ...config, max_msgs: 1 });
  assertEquals((updated as StreamInfo).error, undefined);
  using remote = connect<Holding>(target, { timeout: 120_000 });
  const first = doomed(remote.hold("first"));
  await eventually(() => api.ends.length === 1);
  await assertRejectsCode(withOptions(remote, { whenFull: "fail" }).ping("x"), "BUSY");
  await assertEndsSoonWith("BUSY", (timeout) => withOptions(remote, { timeout }).ping("x"));
  const waiting = doomed(remote.ping("waiting"));
  api.ends[0]!();
  assertEquals([await first, await waiting], ["first", "waiting"]);
  assertEquals(api.begun, ["first 1", "waiting 1"]);
});

test("services with other options, at once, and streams of somebody else", async () => {
  const target = newNatsTarget();
  const raw = await rawConnection();
  const api = { ping: () => "pong" };
  const [first, second] = await Promise.all([served(target, api), served(target, api)]);
  const other = serve(target, api, { maxDeliveries: 3, nats: { name: "other" } });
  await assertRejectsCode(other.ready, "MISMATCH", "maxDeliveries 3");
  await assertRejectsCode(other.finished, "MISMATCH");
  await Promise.all([first!.close(), second!.close()]);
  // Nobody asks for calls any more.
  const name = await nameOf(target);
  await eventually(async () => {
    const consumer = await raw.ask(`CONSUMER.INFO.${name}.services`);
    return (consumer as { num_waiting: number }).num_waiting === 0;
  });
  const third = await served(target, api, { ...both, maxDeliveries: 3 });
  using remote = connect<typeof api>(target, { timeout: 120_000 });
  assertEquals(await remote.ping(), "pong");
  let error: unknown;
  try {
    await withOptions(remote, { maxDeliveries: 4 }).ping();
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof RangeError, String(error));
  await third.close();
  const foreign = newNatsTarget();
  const stream = { name: await nameOf(foreign), subjects: ["elsewhere"] };
  await raw.ask(`STREAM.CREATE.${stream.name}`, stream);
  const service = serve(foreign, api, { ...both, nats: { name: "other" } });
  await assertRejectsCode(service.ready, "MISMATCH", "work queue");
});

test("a target without a queue refuses more deliveries, and so does a server without JetStream", async () => {
  const target = newNatsTarget();
  const api = { ping: () => "pong" };
  await served(target, api, {});
  using remote = connect<typeof api>(target, { timeout: 120_000, maxDeliveries: 2 });
  await assertRejectsCode(remote.ping(), "UNSUPPORTED", "maxDeliveries");
  assertEquals(await withOptions(remote, { maxDeliveries: 1 }).ping(), "pong");
  const server = await newServer("");
  const service = serve(`nats://${server.address}/none`, api, both);
  await assertRejectsCode(service.ready, "UNSUPPORTED", "JetStream");
  await assertRejectsCode(service.finished, "UNSUPPORTED", "JetStream");
});

test("no service: NO_SERVER; one that comes later gets the call", async () => {
  const target = newNatsTarget();
  const api = new Holding();
  const first = await served(target, api);
  using remote = connect<Holding>(target, { timeout: 120_000 });
  assertEquals(await remote.ping("a"), "a");
  await first.close();
  await assertEndsSoonWith("NO_SERVER", (timeout) => withOptions(remote, { timeout }).ping("b"));
  await assertRejectsCode(withOptions(remote, { whenAbsent: "fail" }).ping("c"), "NO_SERVER");
  const waiting = doomed(remote.ping("d"));
  const raw = await rawConnection();
  await eventually(async () => await queued(raw, target) >= 1);
  await served(target, api);
  assertEquals(await waiting, "d");
  assertEquals(api.begun, ["a 1", "d 1"]);
});

test("the link is lost while a call waits, until its time is over: TIMEOUT, for services may be there", async () => {
  await longEnough(1_000, async (timeout) => {
    const server = await newServer();
    const target = `nats://${server.address}/lost`;
    const api = new Holding();
    const service = await served(target, api);
    using remote = connect<Holding>(target, { timeout: 120_000 });
    assertEquals(await remote.ping("a"), "a");
    await service.close();
    let end: string | undefined;
    const waiting = doomed(withOptions(remote, { timeout }).ping("b"));
    const ended = waiting.catch(({ code }) => void (end = code));
    const raw = await rawConnection(server.address);
    await eventually(async () => end || await queued(raw, target) >= 1);
    await server.kill();
    await eventually(async () => {
      const hasty = withOptions(remote, { timeout: 100 }).ping("c");
      return await hasty.catch(({ code }) => code) === "DISCONNECTED";
    });
    const wasEarly = end !== undefined;
    await ended;
    assertEquals(end, wasEarly ? "NO_SERVER" : "TIMEOUT");
    return !wasEarly;
  });
});

test("the server stands still until the time of a call is over: it is never run", async () => {
  const { port } = await startNatsServer().then(async (first) => (await first.kill(), first));
  const server = await newServer(withJetStream, port);
  const target = `nats://${server.address}/expired`;
  const api = new Holding();
  await served(target, api);
  using remote = connect<Holding>(target, { timeout: 120_000 });
  assertEquals(await remote.ping("a"), "a");
  const raw = await rawConnection(server.address);
  const isSilent = () => {
    const answered = raw.flush().then(() => false, () => false);
    return Promise.race([answered, sleep(200).then(() => true)]);
  };
  server.tell("STOP");
  await eventually(isSilent, "it stands still");
  await assertRejectsCode(withOptions(remote, { timeout: 300 }).ping("b"), "TIMEOUT");
  server.tell("KILL");
  server.tell("START");
  using patient = withOptions(remote, { idempotent: true });
  assertEquals(await patient.ping("c"), "c");
  // A call that is not stored is published again with each tick.
  await sleep(3 * tickMilliseconds);
  assertEquals(await patient.ping("d"), "d");
  assertEquals(api.begun, ["a 1", "c 1", "d 1"]);
});

test("the program closes the connection that it has given: all calls end", async () => {
  const server = await newServer();
  const target = `nats://${server.address}/given`;
  const api = new Holding();
  await served(target, api);
  const { connection } = await rawConnection(server.address);
  using remote = connect<Holding>(target, { timeout: Infinity, nats: { connection } });
  assertEquals(await remote.ping("a"), "a");
  const held = doomed(remote.hold("b"));
  await eventually(() => api.begun.includes("b 1"));
  await connection.close();
  await assertRejectsCode(held, "UNKNOWN_OUTCOME");
  for (const idempotent of [true, false]) {
    using again = withOptions(remote, { idempotent });
    await assertRejectsCode(again.ping("c"), "CLOSED", "nats.connection");
  }
  for (const end of api.ends) end();
});

test("the rights that the guide names are enough", async () => {
  const server = await newServer(`${withJetStream}
    authorization { users = [
      { user: worker, password: w, permissions: {
        subscribe: ["tandem.call.thumbs tandem", "tandem.all.thumbs", "tandem.host.>", "_INBOX.>"]
        publish: ["tandem.host.>", "_INBOX.>", "$JS.API.STREAM.INFO.QUEUE_tandem=thumbs",
          "$JS.API.STREAM.CREATE.QUEUE_tandem=thumbs", "$JS.API.STREAM.UPDATE.QUEUE_tandem=thumbs",
          "$JS.API.CONSUMER.CREATE.QUEUE_tandem=thumbs.services",
          "$JS.API.CONSUMER.MSG.NEXT.QUEUE_tandem=thumbs.services",
          "$JS.ACK.QUEUE_tandem=thumbs.services.>"] } }
      { user: web, password: w, permissions: {
        subscribe: ["tandem.host.>", "_INBOX.>"]
        publish: ["tandem.call.thumbs", "tandem.all.thumbs", "tandem.host.>", "_INBOX.>", "tandem.queue.thumbs",
          "$JS.API.STREAM.MSG.GET.QUEUE_tandem=thumbs",
          "$JS.API.STREAM.MSG.DELETE.QUEUE_tandem=thumbs"] } }
    ] }`);
  const api = new Holding();
  const options = { ...both, concurrency: 1, nats: { user: "worker", pass: "w" } };
  await served(`nats://${server.address}/thumbs`, api, options);
  using remote = connect<Holding>(`nats://web:w@${server.address}/thumbs`, { timeout: 120_000 });
  assertEquals(await remote.ping("a"), "a");
  const held = doomed(remote.hold("b"));
  await eventually(() => api.ends.length === 1);
  const stop = new AbortController();
  const cancelled = doomed(withOptions(remote, { signal: stop.signal }).ping("c"));
  const next = remote.ping("d");
  stop.abort(new Error("no longer"));
  await cancelled.catch(() => {});
  api.ends[0]!();
  assertEquals([await held, await next], ["b", "d"]);
});

/** A server that keeps the queue in files, and a caller to whom it cannot say that it has stored the second call. */
class LostWord {
  readonly server: NatsServer;
  /** Where services find the server. */
  readonly direct: string;
  readonly remote: Remote<Holding>;
  isLost = false;
  /** Whether calls were published again since then. */
  isSentAgain = false;
  readonly #proxy: NatsProxy;

  private constructor(server: NatsServer, proxy: NatsProxy) {
    this.server = server;
    this.#proxy = proxy;
    this.direct = `nats://${server.address}/twice`;
    const target = `nats://${proxy.address}/twice`;
    this.remote = connect<Holding>(target, { timeout: 120_000, nats: { name: "caller" } });
    proxy.losses.add((subject) => {
      if (subject === "tandem.queue.twice") this.isSentAgain = this.isLost;
      return false;
    });
    proxy.deliveryLosses.add((_, payload) => {
      const isWord = /^\{"stream".*"seq": ?2\b/.test(new TextDecoder().decode(payload));
      const loses = isWord && !this.isLost;
      this.isLost ||= isWord;
      return loses;
    });
  }

  static async start(): Promise<LostWord> {
    const server = await newServer(storeIn("store"));
    return new LostWord(server, await NatsProxy.start(server.port));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.remote[Symbol.dispose]();
    await this.#proxy[Symbol.asyncDispose]();
  }
}

for (const isEmpty of [false, true]) {
  const how = isEmpty ? "again, empty" : "again";

  test(`the server's word is lost, and it is started ${how}: a service does nothing twice`, async () => {
    await using lost = await LostWord.start();
    const { server, direct, remote } = lost;
    const api = new Holding();
    await served(direct, api, { maxDeliveries: 2 });
    assertEquals(await remote.ping("first"), "first");
    const call = doomed(remote.hold("x"));
    await eventually(() => api.ends.length === 1 && lost.isLost);
    await server.kill();
    await newServer(storeIn(isEmpty ? "empty" : "store"), server.port);
    await eventually(() => lost.isSentAgain);
    // The service may not have its link back: its answer waits then, and the call may come again before it.
    api.ends[0]!();
    assertEquals(await call, "x");
    assertEquals(await remote.ping("last"), "last");
    assertEquals(api.begun, ["first 1", "x 1", "last 1"]);
  });

  test(`the server's word and a service are lost, and it is started ${how}: nothing is done twice`, async () => {
    await using lost = await LostWord.start();
    const { server, direct, remote } = lost;
    const first = await started(direct, { maxDeliveries: 2 });
    await first.expect("ready");
    await remote.count();
    const call = doomed(remote.hold("x"));
    await first.expect("holding 1");
    await eventually(() => lost.isLost);
    await server.kill();
    await first.killed();
    await newServer(storeIn(isEmpty ? "empty" : "store"), server.port);
    // Now, if it is empty, it says that nobody takes the call.
    await eventually(() => lost.isSentAgain);
    const second = new Holding();
    await served(direct, second, { maxDeliveries: 2 });
    await assertRejectsCode(call, "UNKNOWN_OUTCOME");
    assertEquals(second.begun, []);
  });
}
