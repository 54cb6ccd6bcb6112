/**
 * How soon the next one runs when a holder is killed, and when the one that was granted the place is killed before it
 * wakes up. The clock is the machine's: it is read right before the kill, and in the next one's JavaScript.
 *
 * @module
 */
import process from "node:process";
import { machineNow } from "../../../bench/lib/clock.ts";
import { Limit } from "../../../src/limit/main.ts";
import type { Form } from "../../fixtures/limit/commands.ts";
import type { Contender } from "../../support/contender.ts";
import type { Runtime } from "../talker.ts";
import { pause, type Rig, until } from "./rig.ts";

/** Latencies in milliseconds, each from a SIGKILL of the holder to the next one's JavaScript. */
export async function killHolders(
  rig: Rig,
  runtime: Runtime,
  form: Form,
  kills: number,
): Promise<number[]> {
  const target = `${rig.folder}/${runtime}-${form}.limit`;
  using watcher = new Limit(target);
  let holder = await rig.contender(runtime);
  await holder.open(target);
  await holder.acquire();
  const latencies: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const standby = await rig.contender(runtime);
    await standby.open(target);
    const waits = standby.acquire({}, form);
    await until(() => watcher.waiters().length === 1, "one stands by");
    await pause(rig.random.between(20, 60));
    const began = machineNow();
    process.kill(holder.pid, "SIGKILL");
    const { at } = await waits;
    latencies.push(at - began);
    holder = standby;
  }
  return latencies;
}

/**
 * The first waiter is stopped, is granted the place that the holder releases, and is killed: latencies from this kill
 * to the JavaScript of the second one.
 */
export async function killGrantees(
  rig: Rig,
  runtime: Runtime,
  kills: number,
): Promise<number[]> {
  const target = `${rig.folder}/${runtime}-grantee.limit`;
  using watcher = new Limit(target);
  const latencies: number[] = [];
  const one = await rig.contender(runtime);
  const two = await rig.contender(runtime);
  await one.open(target);
  await two.open(target);
  await one.acquire();
  let [holder, next]: [Contender, Contender] = [one, two];
  for (let kill = 0; kill < kills; kill++) {
    const victim = await rig.contender(runtime);
    await victim.open(target);
    void victim.acquire();
    await until(() => watcher.waiters().length === 1, "the victim waits");
    const waits = next.acquire();
    await until(() => watcher.waiters().length === 2, "the next one waits");
    await victim.child.stopped();
    await holder.tell({ do: "release" });
    await until(() => watcher.holders()[0]?.pid === victim.pid, "the victim is granted the place");
    await pause(rig.random.between(5, 40));
    const began = machineNow();
    process.kill(victim.pid, "SIGKILL");
    latencies.push((await waits).at - began);
    [holder, next] = [next, holder];
  }
  return latencies;
}
