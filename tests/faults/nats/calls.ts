/**
 * 64 calls are outstanding all the time, from clients and to services at different servers.
 *
 * @module
 */
import { connect, type ErrorCode, serve, TandemError } from "../../../mod.ts";
import { NatsCluster } from "../../support/nats_cluster.ts";
import { eventually, sleep } from "../../support/processes.ts";
import type { Times } from "./times.ts";

/** Seconds until calls flow again when a server was killed. */
const bar = 5;
const perClient = 16;
const codesAllowed: ReadonlySet<ErrorCode> = new Set(["UNKNOWN_OUTCOME", "DISCONNECTED"]);

interface Api {
  mark(id: number): Promise<number>;
}

/** Every call, who has done it, and how it ended. */
class Ledger {
  begun = 0;
  readonly done: Map<number, number> = new Map();
  readonly answered: number[] = [];
  readonly served: number[] = [];
  readonly codes: Map<ErrorCode, number> = new Map();

  check(): void {
    const answers = this.answered.reduce((sum, count) => sum + count, 0);
    const failures = [...this.codes.values()].reduce((sum, count) => sum + count, 0);
    if (this.begun !== answers + failures) {
      throw new Error(`${this.begun} calls: ${answers} answers, ${failures} codes`);
    }
    for (const code of this.codes.keys()) {
      if (!codesAllowed.has(code)) throw new Error(`the code ${code}`);
    }
    const twice = [...this.done].find(([_, times]) => times > 1);
    if (twice) throw new Error(`call ${twice[0]} was done ${twice[1]} times`);
  }
}

export async function playCalls(times: Times, isFull: boolean): Promise<string> {
  await using cluster = await NatsCluster.start();
  const ledger = new Ledger();
  const services = cluster.members.map((_, index) => {
    ledger.served.push(0);
    return serve(cluster.targetOf(index, "load"), {
      async mark(id: number) {
        ledger.done.set(id, (ledger.done.get(id) ?? 0) + 1);
        ledger.served[index]! += 1;
        await sleep(id % 4);
        return id;
      },
    });
  });
  await Promise.all(services.map(({ ready }) => ready));
  let isOver = false;
  const targets = [0, 1, 2].map((index) => cluster.targetOf(index, "load"));
  const remotes = [...targets, cluster.target("load")].map((target) =>
    connect<Api>(target, { timeout: 60_000 })
  );
  const loops = remotes.flatMap((remote, client) => {
    ledger.answered.push(0);
    return Array.from({ length: perClient }, async () => {
      while (!isOver) {
        const id = ledger.begun += 1;
        try {
          const answer = await remote.mark(id);
          if (answer !== id || !ledger.done.has(id)) throw new Error(`call ${id}: ${answer}`);
          ledger.answered[client]! += 1;
        } catch (error) {
          if (!(error instanceof TandemError)) throw error;
          ledger.codes.set(error.code, (ledger.codes.get(error.code) ?? 0) + 1);
          // A loop of rejections would keep the events out.
          await sleep(10);
        }
      }
    });
  });
  const all = Promise.all(loops);
  const flows = async (): Promise<number> => {
    const began = performance.now();
    const [answered, served] = [[...ledger.answered], [...ledger.served]];
    const isFlowing = () =>
      ledger.answered.every((count, index) => count > answered[index]! + perClient) &&
      ledger.served.every((count, index) => count > served[index]!);
    await Promise.race([all, eventually(isFlowing, "calls flow")]);
    return performance.now() - began;
  };
  await flows();
  for (let round = 0; round < (isFull ? 5 : 1); round++) {
    for (const member of cluster.members) {
      await member.kill();
      times.note(`${member.name} is killed`, await flows(), bar);
      member.restart();
      await cluster.joined();
      await flows();
    }
    for (const member of isFull ? cluster.members : cluster.members.slice(0, 1)) {
      member.stop();
      times.note(`${member.name} stands still`, await flows());
      member.resume();
      await cluster.joined();
      await flows();
    }
  }
  isOver = true;
  await all;
  ledger.check();
  for (const remote of remotes) remote[Symbol.dispose]();
  await Promise.all(services.map((service) => service.close()));
  const codes = [...ledger.codes].map(([code, count]) => `${count} ${code}`).join(", ");
  return `${ledger.begun} calls, ${codes}`;
}
