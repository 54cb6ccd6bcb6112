/** The stream from one node: what it makes of batches, whole and wrong ones. */
import { assertEquals } from "@std/assert";
import {
  Batch,
  batchBytes,
  controlFlag,
  Cut,
  cutShift,
  Flag,
  Head,
  headBytes,
} from "../../../src/node/hall/batch.ts";
import { Inlet } from "../../../src/node/hall/inlet.ts";
import { pattern, test } from "../../support/harness.ts";

/** What came out of an inlet, as text. */
class Stream {
  readonly out: string[] = [];
  readonly bytes: Uint8Array[] = [];
  readonly inlet: Inlet;

  constructor(maxMessageBytes: number = 2 ** 24) {
    this.inlet = new Inlet({
      maxMessageBytes,
      received: (message) => {
        this.bytes.push(message.slice());
        this.out.push(`message ${message.byteLength}`);
      },
      control: (message) => this.out.push(`control ${message.byteLength}`),
      wasCut: (isOverflow) => this.out.push(isOverflow ? "overflow" : "cut"),
      broke: (link) => this.out.push(`broken ${link}`),
      goesOn: (link) => this.out.push(`still broken ${link}`),
    });
  }

  /** Takes a batch of these bytes after the head. The first one of a stream that was cut says so. */
  take(body: Uint8Array, head: Partial<Heading> = {}): boolean {
    const batch = headed(this.inlet, head);
    batch.bytes.set(body, headBytes);
    if (!this.inlet.accepts(batch.words)) return false;
    this.inlet.read(batch.words, batch.bytes, headBytes + body.byteLength);
    return true;
  }
}

interface Heading {
  readonly link: number;
  readonly sequence: number;
  readonly cut: number;
  readonly first: boolean;
}

function headed(inlet: Inlet, head: Partial<Heading>): Batch {
  const { link = 1, sequence = inlet.sequence + 1, cut = Cut.none } = head;
  const { first = cut !== Cut.none } = head;
  const batch = new Batch();
  batch.words[Head.link] = link;
  batch.words[Head.sequence] = sequence;
  batch.words[Head.flags] = (cut << cutShift) | (first ? Flag.first : 0);
  return batch;
}

/** Messages one behind the other, as they lie in a batch. */
function body(...messages: Uint8Array[]): Uint8Array {
  const parts = messages.map((message) => prefixed(message.byteLength, message));
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function prefixed(word: number, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + ((message.byteLength + 3) & ~3));
  new DataView(bytes.buffer).setUint32(0, word, true);
  bytes.set(message, 4);
  return bytes;
}

const room = batchBytes - headBytes;

test("inlet: messages of any length come as they were sent", () => {
  const stream = new Stream();
  const messages = [0, 1, 3, 4, 5, 100, 1000].map((length) => pattern(length, 0));
  stream.take(body(...messages));
  stream.take(body());
  stream.take(body(pattern(7, 0)));
  assertEquals(stream.bytes, [...messages, pattern(7, 0)]);
});

test("inlet: a long message is put together, and the next one follows it", () => {
  for (const length of [room - 3, room, room + 1, 3 * room - 5, 300_000, 300_001]) {
    const stream = new Stream();
    const whole = body(pattern(length, 0), pattern(9, 0));
    for (let at = 0; at < whole.byteLength; at += room) stream.take(whole.subarray(at, at + room));
    assertEquals(stream.out, [`message ${length}`, "message 9"]);
    assertEquals(stream.bytes[0], pattern(length, 0));
  }
});

test("inlet: a message of the hall's own is not one of the program", () => {
  const stream = new Stream();
  stream.take(prefixed((3 | controlFlag) >>> 0, pattern(3, 0)));
  stream.take(body(pattern(2, 0)));
  assertEquals(stream.out, ["control 3", "message 2"]);
});

test("inlet: after a missing batch nothing comes until another stream begins", () => {
  const stream = new Stream();
  stream.take(body(pattern(1, 0)));
  stream.take(body(pattern(2, 0)), { sequence: 3 });
  stream.take(body(pattern(3, 0)), { sequence: 4 });
  stream.take(body(pattern(4, 0)), { sequence: 9 });
  assertEquals(stream.out, ["message 1", "broken 1"]);
  stream.take(body(pattern(5, 0)), { link: 2, sequence: 12, cut: Cut.broken });
  stream.take(body(pattern(6, 0)), { link: 2 });
  assertEquals(stream.out.slice(2), ["message 5", "message 6"]);
  // Of the stream before.
  assertEquals(stream.take(body(pattern(7, 0)), { link: 1 }), false);
  assertEquals(stream.out.length, 4);
});

test("inlet: a stream that its sender has cut drops the message that was on its way", () => {
  const stream = new Stream();
  stream.take(body(pattern(2 * room, 0)).subarray(0, room));
  stream.take(body(pattern(5, 0)), { link: 2, cut: Cut.overflow });
  stream.take(body(pattern(6, 0)), { link: 7, cut: Cut.broken });
  assertEquals(stream.out, ["overflow", "message 5", "cut", "message 6"]);
});

test("inlet: a stream of which nothing came before it was cut is missed, too", () => {
  const stream = new Stream();
  stream.take(body(pattern(5, 0)), { link: 4, cut: Cut.overflow });
  assertEquals(stream.out, ["overflow", "message 5"]);
});

test("inlet: a missing batch and a batch that came twice are noticed across the streams", () => {
  const lost = new Stream();
  lost.take(body(pattern(1, 0)));
  lost.take(body(pattern(2, 0)), { link: 2, sequence: 3, cut: Cut.overflow });
  assertEquals(lost.out, ["message 1", "overflow", "broken 2"]);
  const twice = new Stream();
  twice.take(body(pattern(1, 0)));
  twice.take(body(pattern(1, 0)), { sequence: 1 });
  assertEquals(twice.out, ["message 1", "broken 1"]);
});

test("inlet: after a hole, a stream whose first batch is missing is broken, too", () => {
  const stream = new Stream();
  stream.take(body(pattern(1, 0)), { sequence: 2 });
  stream.take(body(pattern(2, 0)), { link: 2, sequence: 4, cut: Cut.broken, first: false });
  stream.take(body(pattern(3, 0)), { link: 3, sequence: 6, cut: Cut.broken });
  assertEquals(stream.out, ["broken 1", "broken 2", "message 3"]);
});

test("inlet: the sender tells how far it has come, and a missing end is noticed", () => {
  const stream = new Stream();
  const reaches = (head: Partial<Heading>) =>
    stream.inlet.reaches(headed(stream.inlet, head).words);
  stream.take(body(pattern(1, 0)));
  reaches({ sequence: 1 });
  assertEquals(stream.out, ["message 1"]);
  reaches({ sequence: 2 });
  assertEquals(stream.out.slice(1), ["broken 1"]);
  // The sender has not heard of it.
  reaches({ sequence: 2 });
  assertEquals(stream.out.slice(2), ["still broken 1"]);
  // The next stream has been lost as a whole.
  reaches({ link: 2, sequence: 3, cut: Cut.broken });
  assertEquals(stream.out.slice(3), ["broken 2"]);
  stream.take(body(pattern(3, 0)), { link: 3, sequence: 4, cut: Cut.broken });
  reaches({ link: 3, sequence: 4 });
  reaches({ link: 2, sequence: 3 });
  assertEquals(stream.out.slice(4), ["message 3"]);
});

test("inlet: the number after the last one is 1", () => {
  const stream = new Stream();
  stream.inlet.sequence = 0xffff_fffe;
  stream.take(body(pattern(1, 0)));
  stream.take(body(pattern(2, 0)), { sequence: 1 });
  assertEquals(stream.out, ["message 1", "message 2"]);
});

test("inlet: lengths that cannot be break the stream, and take no memory", () => {
  const wrong: Uint8Array[] = [
    prefixed(1001, pattern(8, 0)),
    prefixed(0x7fff_ffff, pattern(8, 0)),
    prefixed(0xffff_ffff, pattern(8, 0)),
    prefixed((1001 | controlFlag) >>> 0, pattern(8, 0)),
    // No whole number of words.
    body(pattern(8, 0)).subarray(0, 11),
    new Uint8Array([1, 0, 0]),
  ];
  for (const each of wrong) {
    const stream = new Stream(1000);
    stream.take(body(pattern(1, 0)));
    stream.take(each);
    stream.take(body(pattern(2, 0)));
    assertEquals(stream.out, ["message 1", "broken 1"]);
    stream.take(body(pattern(3, 0)), { link: 2, cut: Cut.broken });
    assertEquals(stream.out, ["message 1", "broken 1", "message 3"]);
  }
});

test("inlet: after its end it takes nothing", () => {
  const stream = new Stream();
  stream.take(body(pattern(1, 0)));
  stream.inlet.end();
  assertEquals(stream.take(body(pattern(2, 0))), false);
  assertEquals(stream.out, ["message 1"]);
});
