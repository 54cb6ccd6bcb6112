/**
 * Clients that ask and never read. Their answers are dropped beyond the high-water mark, memory is bounded by it, and
 * other clients are served as before.
 *
 * @module
 */
import { check } from "../pool/stage.ts";
import type { ZmqStage } from "./stage.ts";
import { message, Wire } from "./wire.ts";

const silent = 4;
const highWaterMark = 20;
const answerBytes = 100_000;
/** Where the kernel, and libzmq beyond its mark, keep bytes of each connection. */
const bufferBytes = 8 << 20;

export async function silence(stage: ZmqStage): Promise<string> {
  const asked = stage.size(20_000, 1_000);
  const pool = await stage.workers({ min: 1, max: 1, concurrency: 8 });
  const door = await stage.door({ highWaterMark });
  const others = { endpoint: door.endpoint, form: "req", clients: 2, calls: 200 } as const;
  await stage.load("pyzmq", others);
  const before = door.residentBytes;
  const wires = await Promise.all(Array.from({ length: silent }, async () => {
    const wire = await Wire.greeted(door.port, "DEALER");
    wire.socket.pause();
    return wire;
  }));
  let isServing = true;
  const serving = stage.load("pyzmq", others).finally(() => isServing = false);
  let id = 1e8;
  let largest = before;
  for (let count = 0; count < asked || isServing; count++) {
    // A few at a time: a full channel would refuse them, and have nothing to answer.
    for (const wire of wires) await wire.send(message("", `${id++} 0 ${answerBytes}`));
    await door.settles("there is room in the channel", ({ inFlight }) => inFlight < 16);
    largest = Math.max(largest, door.residentBytes);
  }
  for (const { end } of await serving) check(end === "done", `a call has failed with ${end}`);
  const stats = await door.settles("no call is in flight", ({ inFlight }) => inFlight === 0);
  check(stats.overflowed > asked, `only ${stats.overflowed} answers were dropped`);
  const bound = silent * (highWaterMark * answerBytes + bufferBytes) + (32 << 20);
  const grown = Math.round((largest - before) / 2 ** 20);
  check(largest - before < bound, `the memory of the ${door.title} has grown by ${grown} MB`);
  await Promise.all(wires.map((wire) => wire.close()));
  await door.settles("no connection is left", ({ connections }) => connections === 0);
  await door.close();
  await pool.close();
  return `${silent} clients asked ${
    id - 1e8
  } times and read nothing: ${stats.overflowed} answers dropped, ` +
    `${stats.busy} refused, memory ${grown} MB more at most`;
}
