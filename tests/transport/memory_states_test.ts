/**
 * Every way in which a request of the memory transport ends, in every state in which it may be. Deno's
 * sanitizers report a timer that is left running.
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { setImmediate } from "node:timers";
import { callContext, connect, serve, type Service } from "../../mod.ts";
import { memory } from "../../src/transport/memory.ts";
import type {
  AnswerReader,
  Delivery,
  Message,
  Receiver,
  Requester,
  RequestTerms,
} from "../../src/transport/transport.ts";
import { assertRejectsCode, doomed, eventually, spawn, test } from "../support/harness.ts";
import { runtime } from "../support/processes.ts";

let targets = 0;

function newTarget(): string {
  targets += 1;
  return `memory:states-${targets}`;
}

/** A message that is the bytes of a text. */
function textMessage(text: string): Message {
  const bytes = new TextEncoder().encode(text);
  return {
    byteLength: bytes.byteLength,
    whole: bytes,
    copyTo: (target) => target.set(bytes),
  };
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** How a request has ended: its answer, or the code or message of its error; null: it is pending. */
class Outcome implements AnswerReader {
  text: string | null = null;
  #endings = 0;

  read(bytes: Uint8Array): void {
    this.#end(textOf(bytes));
  }

  fail(error: unknown): void {
    const { code, message } = error as { code?: string; message: string };
    this.#end(code ?? message);
  }

  #end(text: string): void {
    this.#endings += 1;
    this.text = this.#endings === 1 ? text : `ended ${this.#endings} times`;
  }
}

/** Waits a few turns of the event loop: the hub delivers a request in one turn and its answer in another. */
async function turn(): Promise<void> {
  for (let count = 0; count < 5; count++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** A receiver that holds what it gets, and a requester. */
class Ends {
  readonly target: string = newTarget();
  readonly receiver: Receiver;
  readonly requester: Requester;
  readonly held: Delivery[] = [];
  readonly consumed: Promise<void>;

  constructor(slots: number, take?: (delivery: Delivery) => void) {
    this.receiver = memory.serve(this.target, { slots });
    this.requester = memory.open(this.target);
    this.consumed = this.receiver.consume((delivery) => {
      this.held.push(delivery);
      take?.(delivery);
    });
    this.consumed.catch(() => {});
  }

  send(text: string, terms: RequestTerms = {}): Outcome {
    const outcome = new Outcome();
    this.requester.request(textMessage(text), terms, outcome);
    return outcome;
  }

  [Symbol.dispose](): void {
    this.requester.close();
    this.receiver.close();
  }
}

type State = "waits for room" | "is queued" | "is held" | "is answered";

/** Brings a request into a state; `others`: requests that it needs for that. */
async function inState(state: State, terms: RequestTerms = {}): Promise<
  { ends: Ends; outcome: Outcome }
> {
  const ends = new Ends(1);
  if (state === "waits for room") {
    ends.send("other");
    const outcome = ends.send("one", terms);
    await turn();
    return { ends, outcome };
  }
  const outcome = ends.send("one", terms);
  if (state === "is queued") return { ends, outcome };
  await turn();
  assertEquals(ends.held.length, 1);
  if (state === "is answered") {
    assert(ends.held[0]!.reply(new TextEncoder().encode("answer")));
    assertEquals(outcome.text, null, "the answer arrives in a later turn");
  }
  return { ends, outcome };
}

interface Ending {
  readonly end: (ends: Ends, abort: () => void) => void;
  /** How the request ends in each state; null: it goes on. */
  readonly outcomes: Readonly<Record<State, string | null>>;
}

const endings: Readonly<Record<string, Ending>> = {
  "its signal aborts": {
    end: (_, abort) => abort(),
    outcomes: {
      "waits for room": "aborted",
      "is queued": "aborted",
      "is held": "aborted",
      "is answered": "aborted",
    },
  },
  "the requester closes": {
    end: ({ requester }) => requester.close(),
    outcomes: {
      "waits for room": "CLOSED",
      "is queued": "CLOSED",
      "is held": "CLOSED",
      "is answered": "CLOSED",
    },
  },
  "the receiver closes": {
    end: ({ receiver }) => receiver.close(),
    outcomes: {
      "waits for room": null,
      "is queued": null,
      "is held": "SERVER_DIED",
      "is answered": "answer",
    },
  },
  "the target is unlinked": {
    end: ({ receiver }) => void receiver.unlink(),
    outcomes: {
      "waits for room": "NOT_FOUND",
      "is queued": "CANCELLED",
      "is held": "CANCELLED",
      "is answered": "answer",
    },
  },
};

for (const [name, { end, outcomes }] of Object.entries(endings)) {
  for (const state of Object.keys(outcomes) as State[]) {
    test(`memory transport: ${name} while a request ${state}`, async () => {
      const stop = new AbortController();
      const { ends, outcome } = await inState(state, { signal: stop.signal, timeout: 3_600_000 });
      end(ends, () => stop.abort(new Error("aborted")));
      await turn();
      assertEquals(outcome.text, outcomes[state]);
      // It has ended once and for all, and its slot is free for the others.
      stop.abort(new Error("too late"));
      ends[Symbol.dispose]();
      await turn();
      if (outcomes[state] !== null) assertEquals(outcome.text, outcomes[state]);
      await ends.consumed;
    });
  }
}

test("memory transport: a cancelled request gives its slot to the next one, in every state", async () => {
  for (const state of ["waits for room", "is queued", "is held", "is answered"] as const) {
    const stop = new AbortController();
    const { ends, outcome } = await inState(state, { signal: stop.signal });
    const next = ends.send("next");
    stop.abort(new Error("aborted"));
    await turn();
    assertEquals(outcome.text, "aborted", state);
    for (let turns = 0; next.text === null && turns < 10; turns++) {
      // The receiver answers what it holds, whether the sender is there or not.
      for (const delivery of ends.held.splice(0)) delivery.reply(delivery.bytes);
      await turn();
    }
    assertEquals(next.text, "next", state);
    assertEquals(ends.receiver.stats().inFlight, 0, state);
    ends[Symbol.dispose]();
    await ends.consumed;
  }
});

test("memory transport: the receiver learns of a cancel in a later turn, not inside abort()", async () => {
  const stop = new AbortController();
  const { ends } = await inState("is held", { signal: stop.signal });
  const [delivery] = ends.held;
  let isInside = false;
  let wasInside: boolean | null = null;
  delivery!.signal.addEventListener("abort", () => wasInside = isInside);
  isInside = true;
  stop.abort(new Error("aborted"));
  isInside = false;
  await turn();
  assertEquals(wasInside, false);
  assertEquals((delivery!.signal.reason as { code: string }).code, "CANCELLED");
  assertEquals(delivery!.reply(new Uint8Array(1)), false);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: no sender waits for an answer after the target was unlinked", async () => {
  const { ends, outcome } = await inState("is held");
  ends.receiver.unlink();
  assertEquals(ends.held[0]!.reply(new Uint8Array(1)), false);
  await turn();
  assertEquals(outcome.text, "CANCELLED");
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: an unlinked target admits no request that waits for room", async () => {
  const { ends, outcome } = await inState("waits for room");
  ends.receiver.unlink();
  ends.held[0]!.reply(new Uint8Array(1));
  await turn();
  assertEquals([outcome.text, ends.held.length], ["NOT_FOUND", 1]);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: an unlinked target delivers no request that is queued", async () => {
  const { ends, outcome } = await inState("is queued");
  ends.receiver.unlink();
  await turn();
  assertEquals([outcome.text, ends.held.length], ["CANCELLED", 0]);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: a signal of a held request aborts when the receiver closes, also if read later", async () => {
  const { ends } = await inState("is held");
  ends.receiver.close();
  const { signal } = ends.held[0]!;
  assertEquals([signal.aborted, (signal.reason as { code: string }).code], [true, "CANCELLED"]);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: a request goes on to another receiver when its first one closes", async () => {
  const ends = new Ends(2);
  const outcome = ends.send("one");
  await turn();
  ends.held.length = 0;
  const other = memory.serve(ends.target, {});
  const consumed = other.consume((delivery) => void delivery.reply(delivery.bytes));
  ends.receiver.close();
  // One delivery is the target's number.
  await turn();
  assertEquals(outcome.text, "SERVER_DIED");
  const queued = ends.send("two");
  await turn();
  assertEquals(queued.text, "two");
  ends[Symbol.dispose]();
  other.close();
  await Promise.all([ends.consumed, consumed]);
});

test("memory transport: a reader that throws stops no other request of the same turn", async () => {
  const ends = new Ends(8, (delivery) => void delivery.reply(delivery.bytes));
  const written = console.error;
  const errors: string[] = [];
  console.error = (...values) => void errors.push(values.join(" "));
  try {
    const faulty: AnswerReader = {
      read: () => {
        throw new Error("the reader is faulty");
      },
      fail: () => {
        throw new Error("the failing reader is faulty");
      },
    };
    ends.requester.request(textMessage("one"), {}, faulty);
    const second = ends.send("two");
    await turn();
    assertEquals(second.text, "two");
    // And no other request that ends with it.
    ends.requester.request(textMessage("three"), {}, faulty);
    const fourth = ends.send("four");
    ends.requester.close();
    assertEquals(fourth.text, "CLOSED");
  } finally {
    console.error = written;
  }
  assertEquals(errors.length, 2);
  assert(errors[0]!.includes("the reader is faulty"), errors[0]);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: a receiver that throws fails one request, and gets the next ones", async () => {
  const ends = new Ends(8, (delivery) => {
    if (textOf(delivery.bytes) === "one") throw new Error("the receiver is faulty");
    delivery.reply(delivery.bytes);
  });
  const [first, second] = [ends.send("one"), ends.send("two")];
  await turn();
  assertEquals([first.text, second.text], ["REMOTE", "two"]);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: a receiver that closes and throws within a request harms no other one", async () => {
  const ends: Ends = new Ends(8, (delivery) => {
    if (textOf(delivery.bytes) !== "one") return;
    ends.receiver.close();
    throw new Error("the receiver is faulty");
  });
  const [first, second] = [ends.send("one"), ends.send("two")];
  await turn();
  assertEquals([first.text, second.text], ["SERVER_DIED", null]);
  await ends.consumed;
  const other = memory.serve(ends.target, {});
  const consumed = other.consume((delivery) => void delivery.reply(delivery.bytes));
  await turn();
  assertEquals(second.text, "two");
  ends[Symbol.dispose]();
  other.close();
  await consumed;
});

test("memory transport: a signal that refuses a listener leaves its slot to the next request", async () => {
  const ends = new Ends(1);
  ends.send("other");
  const stop = new AbortController();
  const { signal } = stop;
  const faulty = ends.send("faulty", { signal });
  const next = ends.send("next");
  await turn();
  signal.addEventListener = () => {
    throw new Error("no listeners here");
  };
  ends.held.pop()!.reply(new Uint8Array(0));
  await turn();
  assertEquals(faulty.text, "no listeners here");
  const [delivery] = ends.held;
  assert(delivery, "the next request has the slot");
  delivery.reply(delivery.bytes);
  await turn();
  assertEquals(next.text, "next");
  // One that cannot even wait, and must not keep the process alive.
  ends.send("other");
  const thrown = assertThrows(() => ends.send("faulty", { signal }), Error);
  assertEquals(thrown.message, "no listeners here");
  assertEquals(ends.receiver.stats().inFlight, 1);
  ends[Symbol.dispose]();
  await ends.consumed;
});

test("memory transport: more deliveries than the target's are a RangeError, as with a channel", async () => {
  const target = newTarget();
  await using service = serve(target, { ping: () => "pong" }, { maxDeliveries: 2 });
  using remote = connect<{ ping(): string }>(target, { maxDeliveries: 3 });
  const error = await remote.ping().then(() => null, (error: Error) => error);
  assert(error instanceof RangeError, String(error));
  assert(error.message.includes("maxDeliveries"), error.message);
  assertEquals(service.stats().inFlight, 0);
});

test("memory transport: a closed service has no numbers, and takes nothing more", async () => {
  const target = newTarget();
  const service = serve(target, { ping: () => "pong" });
  await service.close();
  const { code } = assertThrows(() => service.stats()) as Error & { code?: string };
  assertEquals(code, "CLOSED");
  const ends = new Ends(1);
  ends.receiver.close();
  // Or it would keep the process alive for ever.
  await ends.receiver.consume(() => {});
  ends[Symbol.dispose]();
});

test("memory transport: the second of two services that unlink goes on until it is closed", async () => {
  const target = newTarget();
  const [first, second] = [
    serve(target, { ping: () => "pong" }),
    serve(target, { ping: () => "pong" }),
  ];
  assertEquals([first.unlink(), second.unlink()], [true, false]);
  await turn();
  await Promise.all([first.close(), second.close()]);
  await Promise.all([first.finished, second.finished]);
});

test("memory transport: a method may close its own service, its connection, or both", async () => {
  for (const closes of [["service"], ["connection"], ["service", "connection"]]) {
    const target = newTarget();
    let closing: Promise<void> | null = null;
    const api = {
      close: () => {
        if (closes.includes("service")) closing = service.close({ timeout: 1_000 });
        if (closes.includes("connection")) remote[Symbol.dispose]();
        return "closed";
      },
      other: () => "other",
    };
    const service: Service = serve(target, api);
    const remote = connect<typeof api>(target, { timeout: 30_000 });
    const own = remote.close();
    const other = doomed(remote.other());
    if (closes.includes("connection")) {
      await assertRejectsCode(own, "CLOSED");
      await assertRejectsCode(other, "CLOSED");
    } else {
      assertEquals(await own, "closed");
      // It waits for the next service.
      await closing;
      await using next = serve(target, api);
      assertEquals(await other, "other");
      void next;
    }
    remote[Symbol.dispose]();
    await closing;
    await service.close();
  }
});

test("memory transport: a handler's abort listener may close everything", async () => {
  const target = newTarget();
  const stop = new AbortController();
  let closing: Promise<void> | null = null;
  const api = {
    hang: () => {
      callContext()!.signal.addEventListener("abort", () => {
        remote[Symbol.dispose]();
        closing = service.close({ timeout: 0 });
      });
      return new Promise<string>(() => {});
    },
  };
  const service: Service = serve(target, api);
  const remote = connect<typeof api>(target, { signal: stop.signal });
  const calls = [doomed(remote.hang()), doomed(remote.hang())];
  await eventually(() => service.stats().queued === 0 && service.stats().inFlight === 2);
  const reason = new Error("aborted");
  stop.abort(reason);
  for (const call of calls) {
    assertEquals(await call.then(() => null, (error: unknown) => error), reason);
  }
  await eventually(() => closing !== null);
  await closing;
  await service.finished;
});

test("memory transport: requests in the background keep no process alive", async () => {
  const child = await spawn(runtime, "memory_idle.ts");
  await child.expect("pending");
  await child.ended();
});
