/**
 * The channel is unlinked and made again under load. Each call ends with its answer or with a reason, and the door finds
 * the next channel by itself.
 *
 * @module
 */
import { Server, TandemError } from "../../../mod.ts";
import { check, pause, Tally, until } from "../pool/stage.ts";
import type { ZmqStage } from "./stage.ts";

const reasons = new Set(["done", "CANCELLED", "NOT_FOUND", "SERVER_DIED", "CLOSED"]);

export async function removal(stage: ZmqStage): Promise<string> {
  const calls = stage.size(200_000, 4_000);
  const door = await stage.door();
  let isCalling = true;
  const common = { endpoint: door.endpoint, calls, work: [0, 0] } as const;
  const loads = Promise.all([
    stage.load("pyzmq", { ...common, form: "dealer", clients: 2, outstanding: 8 }),
    stage.load("pyzmq", {
      ...common,
      form: "req",
      clients: 2,
      identity: "py",
      patience: [300, 900],
    }),
    stage.load("zeromq", { ...common, form: "dealer", clients: 2, outstanding: 8 }),
  ]).finally(() => isCalling = false);
  loads.catch(() => {});
  let channels = 0;
  let descriptors = 0;
  let largest = 0;
  for (; isCalling; channels++) {
    // Sometimes there is none for a while.
    await pause(stage.random.pick([0, 0, 100]));
    const server = Server.create(stage.target);
    const serving = server.serve((request) => request.text().split(" ")[0]!);
    serving.catch((error) => check(error instanceof TandemError, String(error)));
    const { answers } = await door.stats();
    const isServed = async () => (await door.stats()).answers > answers;
    while (isCalling && !await isServed()) await pause(2);
    await pause(stage.random.between(0, 200));
    if (isCalling) {
      largest = Math.max(largest, door.descriptors);
      if (channels === 2) descriptors = door.descriptors;
    }
    server.unlink();
    // The door has to notice by itself, or when the server has gone.
    if (stage.random.chance(0.5)) await pause(stage.random.between(0, 20));
    await server.close();
    await serving.catch(() => {});
  }
  const tally = new Tally();
  for (const { id, end } of (await loads).flat()) {
    tally.add(end);
    check(reasons.has(end), `call ${id} has failed with ${end}`);
  }
  check(channels > 2, `only ${channels} channels`);
  await until(
    () => door.descriptors <= descriptors + 4,
    `about as few descriptors as before, ${descriptors}; there are ${door.descriptors}`,
  );
  await door.close();
  return `${channels} channels one after the other: ${tally}; descriptors ${descriptors}, ${largest} at most`;
}
