/**
 * Connections that come and go, all at once as well, some of them cut in the middle of a message; doors that are opened
 * and closed, in each runtime. Descriptors and memory stay level.
 *
 * @module
 */
import { check, until } from "../pool/stage.ts";
import { runtimes } from "../talker.ts";
import type { Door, ZmqStage } from "./stage.ts";
import { message, Wire } from "./wire.ts";

const noiseBytes = 32 << 20;
/** Runtimes open some for themselves, once. */
const noiseDescriptors = 4;
/** At once. */
const crowd = 200;

export async function churn(stage: ZmqStage): Promise<string> {
  const connections = stage.size(20_000, 1_000);
  const pool = await stage.workers({ min: 1, max: 1, concurrency: 64, maxQueue: 1_000 });
  const summaries: string[] = [];
  for (const runtime of runtimes) {
    const door = await stage.door({}, runtime);
    const doors = stage.size(200, 8);
    await comeAndGo(stage, door, crowd);
    await open(door, 5);
    const before = { bytes: door.residentBytes, descriptors: door.descriptors };
    await comeAndGo(stage, door, connections);
    await open(door, doors);
    await until(
      () => door.descriptors <= before.descriptors + noiseDescriptors,
      `about as few descriptors as before, ${before.descriptors}; there are ${door.descriptors}`,
    );
    const grown = door.residentBytes - before.bytes;
    const bound = noiseBytes + doors * (64 << 10);
    check(grown < bound, `the memory of ${runtime} has grown by ${grown >> 10} KB`);
    const stats = await door.stats();
    // The door still answers.
    const [last] = await stage.load("pyzmq", {
      ...{ endpoint: door.endpoint, form: "req", clients: 1, calls: 1 },
    });
    check(last?.end === "done", `a call has failed with ${last?.end}`);
    summaries.push(
      `${runtime}: ${stats.accepted} connections, ${doors + 5} doors, descriptors ` +
        `${before.descriptors} then ${door.descriptors}, memory ${before.bytes >> 20} MB, ` +
        `${grown >> 10} KB more`,
    );
    await door.close();
  }
  await pool.close();
  return summaries.join("; ");
}

async function open(door: Door, count: number): Promise<void> {
  door.send(`doors ${count}`);
  check(Number(await door.line(() => {})) === count, "doors were not opened");
}

async function comeAndGo(stage: ZmqStage, door: Door, count: number): Promise<void> {
  for (let left = count; left > 0; left -= crowd) {
    // A process that stands still does so with a full queue of news about connections.
    const isStopped = stage.random.chance(0.3);
    if (isStopped) door.process.kill("SIGSTOP");
    const coming = Array.from({ length: Math.min(crowd, left) }, () => comeOnce(stage, door.port));
    if (isStopped) {
      await new Promise((resolve) => setTimeout(resolve, stage.random.between(0, 100)));
      door.process.kill("SIGCONT");
    }
    await Promise.all(coming);
  }
  await door.settles(
    "no connection is left",
    ({ connections, inFlight }) => connections === 0 && inFlight === 0,
  );
}

/** Sends some requests, the last of them not to its end, and reads as many answers as it likes. */
async function comeOnce(stage: ZmqStage, port: number): Promise<void> {
  const { random } = stage;
  const identity = random.chance(0.5) ? `id-${random.between(0, 1e6)}` : "";
  const wire = await Wire.greeted(port, random.pick(["REQ", "DEALER"]), identity);
  for (let left = random.between(0, 3); left > 0; left--) {
    await wire.send(message("", `${random.between(1e8, 2e8)} 0`));
  }
  const last = message("", "x".repeat(random.between(0, 5_000)));
  await wire.send(last.subarray(0, random.between(0, last.length - 1)));
  await (random.chance(0.5) ? wire.end() : wire.close());
}
