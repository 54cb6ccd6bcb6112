/**
 * The door's process is killed and started again under pirates, over TCP and over a Unix socket. They get their answers
 * from the next one.
 *
 * @module
 */
import { join } from "node:path";
import { check, pause, Tally } from "../pool/stage.ts";
import type { Door, ZmqStage } from "./stage.ts";

export async function restart(stage: ZmqStage): Promise<string> {
  const pool = await stage.workers({ min: 2, max: 2, concurrency: 4, maxQueue: 1_000 });
  const summaries: string[] = [];
  for (const transport of ["tcp", "ipc"] as const) {
    const frontend = transport === "ipc" ? `ipc://${join(stage.notes, "door")}` : undefined;
    let door = await (frontend ? stage.door({ frontend }) : onQuietPort(stage));
    const { endpoint } = door;
    const calls = stage.size(20_000, 300);
    let isCalling = true;
    const hasty = { endpoint, calls, work: [0, 20], patience: [200, 500] } as const;
    const loads = Promise.all([
      stage.load("pyzmq", { ...hasty, form: "req", clients: 4, identity: "py" }),
      stage.load("zeromq", { ...hasty, form: "req", clients: 4 }),
      stage.load("pyzmq", {
        ...{ ...hasty, form: "dealer", clients: 2, outstanding: 4, identity: "many" },
      }),
    ]).finally(() => isCalling = false);
    loads.catch(() => {});
    let kills = 0;
    for (; isCalling; kills++) {
      await pause(stage.random.between(100, 1_500));
      door.kill();
      await door.closed;
      door = await stage.door({ frontend: endpoint });
    }
    const tally = new Tally();
    for (const { id, end } of (await loads).flat()) {
      tally.add(end);
      check(end === "done", `call ${id} has failed with ${end}`);
    }
    check(kills > 0, "no door was killed");
    await door.settles("no call is in flight", ({ inFlight }) => inFlight === 0);
    await door.close();
    summaries.push(`${transport}: ${kills} doors killed, ${tally} over the next ones`);
  }
  await pool.close();
  return summaries.join("; ");
}

/** At a port that the kernel gives no client: one that tries to connect to itself would take it while no door is there. */
async function onQuietPort(stage: ZmqStage): Promise<Door> {
  for (let attempt = 0;; attempt++) {
    const frontend = `tcp://127.0.0.1:${stage.random.between(10_000, 30_000)}`;
    try {
      return await stage.door({ frontend });
    } catch (error) {
      if (attempt > 20 || !/EXISTS/.test((error as Error).message)) throw error;
    }
  }
}
