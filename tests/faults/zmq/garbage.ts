/**
 * What comes to a TCP port: bytes that are no ZeroMQ, handshakes that are half, messages that are none, an announced
 * message of 2 GiB, messages that never end. All of it is counted, the memory of the door's process stays level, and other
 * clients are served meanwhile.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { check } from "../pool/stage.ts";
import type { Door, ZmqStage } from "./stage.ts";
import { frame, frameHead, greeting, message, ready, Wire } from "./wire.ts";

/** Arenas of the allocator and of the runtime move by so much. */
const noiseBytes = 48 << 20;
const maxMessageBytes = 1 << 20;

/** What a kind of garbage adds to the numbers of a door, at least. */
type Count = Partial<
  Record<"malformed" | "refused" | "cut" | "handshakeFailures" | "accepted", number>
>;
type Kind = (stage: ZmqStage, port: number) => Promise<Count>;

const kinds: Readonly<Record<string, Kind>> = {
  async "random bytes"(stage, port) {
    const wire = await Wire.open(port);
    await wire.send(bytes(stage, stage.random.between(1, 5_000)));
    await wire.close();
    return { accepted: 1 };
  },

  async "another protocol"(_stage, port) {
    const wire = await Wire.open(port);
    await wire.send(Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    await wire.close();
    return { accepted: 1 };
  },

  async "a port scan"(_stage, port) {
    await (await Wire.open(port)).close();
    return { accepted: 1 };
  },

  async "garbage behind a greeting"(stage, port) {
    const wire = await Wire.open(port);
    // No command, and all of it: libzmq gives a handshake 30 s.
    await wire.send(greeting(), frame(bytes(stage, stage.random.between(1, 5_000)), false));
    await wire.closed;
    return { accepted: 1, handshakeFailures: 1 };
  },

  async "a part of a handshake"(stage, port) {
    const wire = await Wire.open(port);
    const whole = Buffer.concat([greeting(), ready("DEALER")]);
    await wire.send(whole.subarray(0, stage.random.between(1, whole.length - 1)));
    await wire.close();
    return { accepted: 1 };
  },

  async "a socket of a wrong type"(_stage, port) {
    const wire = await Wire.greeted(port, "SUB");
    await wire.closed;
    return { accepted: 1, handshakeFailures: 1 };
  },

  async "one frame"(_stage, port) {
    const wire = await Wire.greeted(port, "DEALER");
    await wire.send(message("1 0"), message(""), message(Buffer.alloc(maxMessageBytes)));
    await wire.end();
    return { accepted: 1, malformed: 3 };
  },

  async "a thousand frames"(_stage, port) {
    const wire = await Wire.greeted(port, "DEALER");
    const thousand = Array.from({ length: 1_000 }, () => "x");
    await wire.send(message(...thousand), message("", ...thousand));
    await wire.end();
    return { accepted: 1, malformed: 1, refused: 1 };
  },

  async "a message that is too long"(_stage, port) {
    const wire = await Wire.greeted(port, "DEALER");
    await wire.send(message("", Buffer.alloc(maxMessageBytes + 1)));
    await wire.end();
    return { accepted: 1, refused: 1 };
  },

  async "two announced gigabytes"(_stage, port) {
    const wire = await Wire.greeted(port, "REQ");
    await wire.send(frame("", true), frameHead(2 ** 31, false));
    await wire.closed;
    return { accepted: 1, cut: 1 };
  },

  async "more than there are addresses"(_stage, port) {
    const wire = await Wire.greeted(port, "REQ");
    await wire.send(Buffer.from([2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    await wire.closed;
    return { accepted: 1, cut: 1 };
  },

  async "a cut message"(stage, port) {
    const wire = await Wire.greeted(port, "DEALER");
    const whole = message("", bytes(stage, 200_000));
    await wire.send(whole.subarray(0, stage.random.between(1, whole.length - 1)));
    await wire.end();
    return { accepted: 1, cut: 1 };
  },

  /** libzmq has no limit of frames: what has come of a message takes memory until its connection ends. */
  async "a message without an end"(_stage, port) {
    const wire = await Wire.greeted(port, "DEALER");
    const frames = Buffer.alloc(2 * 50_000);
    for (let at = 0; at < frames.length; at += 2) frames[at] = 1;
    await wire.send(frames);
    await wire.end();
    return { accepted: 1, cut: 1 };
  },
};

function bytes(stage: ZmqStage, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => stage.random.between(0, 255)));
}

export async function garbage(stage: ZmqStage): Promise<string> {
  const rounds = stage.size(100, 5);
  const pool = await stage.workers({ min: 1, max: 1 });
  const door = await stage.door({ maxMessageBytes });
  const total: Record<string, number> = {};
  const expected: Record<string, number> = {};
  let served = 0;
  let level = 0;
  let grown = 0;
  for (let round = 0; round < rounds; round++) {
    const serving = serve(stage, door);
    for (const [name, kind] of Object.entries(kinds)) {
      for (let count = 0; count < 4; count++) {
        const counts = await kind(stage, door.port);
        for (const [key, value] of Object.entries(counts)) {
          expected[key] = (expected[key] ?? 0) + value;
        }
        total[name] = (total[name] ?? 0) + 1;
      }
    }
    served += await serving;
    await door.settles("no connection is left", ({ connections }) => connections === 0);
    // The first rounds fill caches.
    if (round === Math.min(2, rounds - 1)) level = door.residentBytes;
    grown = door.residentBytes - level;
  }
  const stats = await door.settles(
    `everything is counted: ${JSON.stringify(expected)}`,
    (stats) =>
      Object.entries(expected).every(([key, value]) => stats[key as keyof Count & string] >= value),
  );
  // Each client that is served makes one connection.
  check(stats.accepted === expected["accepted"]! + rounds, `${stats.accepted} connections`);
  check(stats.inFlight === 0, `${stats.inFlight} calls are in flight`);
  check(grown < noiseBytes, `the memory has grown by ${grown >> 10} KB`);
  await door.close();
  await pool.close();
  const sum = Object.values(total).reduce((a, b) => a + b, 0);
  return `${sum} connections with ${Object.keys(total).length} kinds of garbage: ` +
    `${stats.malformed} messages malformed, ${stats.refused} refused, ${stats.cut} connections cut, ` +
    `${stats.handshakeFailures} without a handshake; memory ${level >> 20} MB, then ` +
    `${(level + grown) >> 20} MB; ${served} calls of others answered meanwhile`;
}

/** A client that means well. Returns how many calls were answered. */
async function serve(stage: ZmqStage, door: Door): Promise<number> {
  const calls = 100;
  const outcomes = await stage.load("pyzmq", {
    ...{ endpoint: door.endpoint, form: "req", clients: 1, calls, work: [0, 3] },
  });
  for (const { id, end } of outcomes) check(end === "done", `call ${id} has failed with ${end}`);
  return calls;
}
