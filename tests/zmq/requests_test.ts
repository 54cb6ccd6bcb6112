/** Messages of clients as requests: envelopes, ids and payloads; and what is wrong with others. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Batch } from "../../src/zmq/batch.ts";
import { Connection, type Connections } from "../../src/zmq/connections.ts";
import { type Arrival, type Fault, Requests } from "../../src/zmq/requests.ts";
import type { ZmqSocket } from "../../src/zmq/socket.ts";
import { bytes, present, test, text } from "../support/harness.ts";

const bytesMax = 10;
const room = 4;
const origin = { address: "127.0.0.1", key: undefined, method: undefined };
const client = new Connection(bytes("client"), origin, 7, false);

/** Stands for the socket, and for the batch that native code reads from it. */
class Inbox {
  readonly #messages: Uint8Array[][];
  readonly #hasIds: boolean;
  /** What is left of the message that was read last. */
  #frames: Uint8Array[] = [];
  #batch: Uint8Array[][] = [];
  readonly bytes = new Uint8Array(64 * (bytesMax + room));

  constructor(messages: readonly (readonly Uint8Array[])[], hasIds: boolean) {
    this.#messages = messages.map((frames) => [...frames]);
    this.#hasIds = hasIds;
  }

  /** As native/zmq/batch.zig. */
  readonly batch = {
    bytes: this.bytes,
    received: 0,
    receive: (): number => {
      assertEquals(this.#frames.length, 0, "a frame of the message before was left");
      this.bytes.fill(0);
      this.#batch = [];
      let isOdd = false;
      while (this.#messages.length > 0 && !isOdd) {
        const index = this.#batch.push(this.#messages.shift()!) - 1;
        isOdd = this.batch.isOdd(index);
        if (isOdd) this.#frames = this.#batch[index]!.slice(1);
        else {this.bytes.set(
            this.#batch[index]![1]!.subarray(0, bytesMax),
            this.batch.offsetOf(index),
          );}
      }
      return this.batch.received = this.#batch.length;
    },
    objectOf: (): number => 1,
    offsetOf: (index: number): number => index * (bytesMax + room),
    lengthOf: (index: number): number => this.#batch[index]![1]!.byteLength,
    isOdd: (index: number): boolean => {
      const frames = this.#batch[index]!;
      return this.#hasIds || frames[0]!.byteLength > 0 || frames.length === 1;
    },
    isPlain: (index: number): boolean =>
      !this.batch.isOdd(index) && this.#batch[index]!.length === 2,
    hasSeveral: (index: number): boolean => this.#batch[index]!.length > 2,
    takeFirst: (index: number, max: number): Uint8Array | null => {
      const first = this.#batch[index]![0]!;
      return first.byteLength <= max ? first.slice() : null;
    },
  };

  get hasMore(): boolean {
    return this.#frames.length > 0;
  }

  receive(buffer: Uint8Array, capacity: bigint): number {
    const frame = this.#frames.shift();
    if (!frame) return -1;
    assert(Number(capacity) <= buffer.byteLength);
    buffer.set(frame.subarray(0, Number(capacity)));
    return frame.byteLength;
  }
}

const connections = {
  known: () => client,
  hear: () => {},
} as unknown as Connections;

/** A reader of these messages. */
function reading(hasIds: boolean, ...messages: readonly (readonly Uint8Array[])[]): Requests {
  const inbox = new Inbox(messages, hasIds);
  const socket = inbox as unknown as ZmqSocket;
  const batch = inbox.batch as unknown as Batch;
  return new Requests(socket, batch, connections, hasIds, bytesMax, room);
}

interface Read {
  readonly envelope: readonly string[];
  readonly id?: string;
  readonly fault?: Fault;
  readonly payload?: string;
}

/** What becomes of one message, in few words. */
function read(frames: readonly (string | Uint8Array)[], hasIds = false): Read {
  const message = frames.map((frame) => typeof frame === "string" ? bytes(frame) : frame);
  const requests = reading(hasIds, message);
  const { envelope, id, bytes: payload, length, fault } = present(requests.receive());
  const found = {
    envelope: envelope.map(text),
    ...id && { id: text(id) },
    ...fault ? { fault } : { payload: text(payload.subarray(0, length)) },
  };
  assertEquals(requests.receive(), null);
  return found;
}

test("no message: null", () => {
  assertEquals(reading(false).receive(), null);
});

test("REQ and DEALER: an empty frame and the payload", () => {
  assertEquals(read(["", "work"]), { envelope: [""], payload: "work" });
  assertEquals(read(["", ""]), { envelope: [""], payload: "" });
});

test("frames before the empty one are the envelope, which goes back as it came", () => {
  assertEquals(read(["number", "", "work"]), { envelope: ["number", ""], payload: "work" });
  const route = ["a", "b".repeat(255), "c"];
  assertEquals(read([...route, "", "work"]), { envelope: [...route, ""], payload: "work" });
});

test("an envelope of 32 frames is taken, one more is malformed", () => {
  const labels = (count: number) => Array.from({ length: count }, () => "x");
  assertEquals(read([...labels(32), "", "work"]).payload, "work");
  assertEquals(read([...labels(33), "", "work"]).fault, "malformed");
});

test("no empty frame, nothing behind it, or too long a label: malformed", () => {
  const many = Array.from({ length: 1_000 }, () => "x");
  const long = "x".repeat(256);
  for (const frames of [["work"], ["a", "b"], [""], ["a", ""], many, [long, "", "work"]]) {
    assertEquals(read(frames).fault, "malformed", `${frames.length} frames`);
  }
  assertEquals(read(["a", long, "", "work"]).fault, "malformed");
});

test("several payload frames are a fault of their own, with the envelope for the error", () => {
  const wanted: Read = { envelope: ["7", ""], fault: "several frames" };
  assertEquals(read(["7", "", "a", "b"]), wanted);
  const many = Array.from({ length: 1_000 }, () => "x");
  assertEquals(read(["7", "", ...many]), wanted);
  assertEquals(read(["7", "", "", ""]), wanted);
});

test("a payload of the limit is taken, and one byte more is too long", () => {
  assertEquals(read(["", "x".repeat(bytesMax)]).payload, "x".repeat(bytesMax));
  assertEquals(
    read(["", "x".repeat(bytesMax + 1)]),
    { envelope: [""], fault: "too long" } as never,
  );
});

test("there is room for a note behind each payload", () => {
  for (const hasIds of [false, true]) {
    const frames = ["", ...hasIds ? ["7"] : [], "x".repeat(bytesMax)].map((frame) => bytes(frame));
    const { bytes: payload, length } = present(reading(hasIds, frames).receive());
    assert(payload.byteLength >= length + room);
  }
});

test("plain messages with nothing wrong lie where they were received, with room behind them", () => {
  const messages = [["", "work"], ["", "x".repeat(bytesMax)], ["", "x".repeat(bytesMax + 1)], [
    "",
    "a",
    "b",
  ], ["7", "", "odd"]];
  const requests = reading(false, ...messages.map((frames) => frames.map((frame) => bytes(frame))));
  assertEquals(requests.hasReceived, false);
  assert(requests.refill());
  assertEquals(requests.plainSender, client);
  assertEquals([requests.takePlain(), requests.takenLength], [0, 4]);
  assertEquals(requests.plainSender, client);
  assertEquals([requests.takePlain(), requests.takenLength], [bytesMax + room, bytesMax]);
  for (const fault of ["too long", "several frames", null]) {
    assert(requests.hasReceived);
    assertEquals(requests.plainSender, null);
    assertEquals(present(requests.receive()).fault, fault);
  }
  assertEquals([requests.hasReceived, requests.refill()], [false, false]);
});

test("ids: the first frame behind the empty one", () => {
  assertEquals(read(["", "7", "work"], true), { envelope: [""], id: "7", payload: "work" });
  assertEquals(read(["a", "", "", ""], true), { envelope: ["a", ""], id: "", payload: "" });
  const longest = "x".repeat(255);
  assertEquals(read(["", longest, "work"], true).id, longest);
});

test("ids: without a payload, or with several, or too long an id: the fault says which", () => {
  assertEquals(read(["", "7"], true), { envelope: [""], id: "7", fault: "no payload" });
  assertEquals(read(["", "7", "a", "b"], true), {
    envelope: [""],
    id: "7",
    fault: "several frames",
  });
  // It could not go back as it came.
  assertEquals(read(["", "x".repeat(256), "work"], true), {
    envelope: [""],
    fault: "id too long",
  });
});

const frame = fc.oneof(
  { weight: 3, arbitrary: fc.constant(new Uint8Array(0)) },
  { weight: 5, arbitrary: fc.uint8Array({ minLength: 1, maxLength: bytesMax + 2 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 260 }) },
);
const message = fc.oneof(
  fc.array(frame, { minLength: 1, maxLength: 6 }),
  fc.array(frame, { minLength: 1, maxLength: 40 }),
);

test("any messages: each is one arrival, with the frames that it began with, or with its fault", () => {
  const messages = fc.array(message, { maxLength: 5 });
  fc.assert(fc.property(messages, fc.boolean(), (messages, hasIds) => {
    const requests = reading(hasIds, ...messages);
    for (const frames of messages) {
      const { fault, envelope, id, bytes, length } = present<Arrival>(requests.receive());
      if (fault === "malformed") continue;
      const sent = [...envelope, ...id ? [id] : []];
      assertEquals(sent, frames.slice(0, sent.length));
      assertEquals(envelope.findIndex(({ byteLength }) => byteLength === 0), envelope.length - 1);
      if (fault) continue;
      assertEquals([frames.length, id !== null], [sent.length + 1, hasIds]);
      assertEquals(bytes.slice(0, length), frames.at(-1)!);
    }
    assertEquals(requests.receive(), null);
  }));
});
