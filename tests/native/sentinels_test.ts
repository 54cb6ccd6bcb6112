/** Many handles that watch each other: each watches only the next ones, and all learn of every death. */
import { readdirSync, readFileSync } from "node:fs";
import { ClientCore } from "../../src/channel/client_core.ts";
import {
  type Child,
  eventually,
  newTarget,
  ownRuntime,
  processState,
  type Runtime,
  settled,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";

/** More of them than a handle of a channel watches; a process has several. */
const crowd = 70;

for (const name of ownRuntime) {
  test(`${name}: all learn of a death, although the 17 before the dead one are stopped`, async () => {
    const target = newTarget();
    // Their places in the table follow each other.
    const stopped = await start(name, target, 17);
    const victim = await start(name, target, 1);
    const others = [await start(name, target, 26), await start(name, target, 26)];
    await Promise.all(others.map((child) => sees(child, 17 + 1 + 26)));
    await stopped.stopped();
    victim.kill("SIGKILL");
    await Promise.all(others.map((child) => sees(child, 17 + 26)));
    stopped.kill("SIGCONT");
    await sees(stopped, 26 + 26);
    // One after the other, also where the ring closes, and one that leaves in good order.
    stopped.kill("SIGKILL");
    await Promise.all(others.map((child) => sees(child, 26)));
    const last = await start(name, target, 2);
    await sees(others[1]!, 26 + 2);
    last.end();
    await sees(others[1]!, 26);
  });

  test(`${name}: ${crowd} handles that watch each other sleep until something happens`, async () => {
    const target = newTarget();
    const children: Child[] = [];
    for (let count = 0; count < crowd; count += 14) {
      children.push(await start(name, target, 14));
    }
    for (const child of children) await sees(child, crowd - 14);
    for (const child of children) await settled(child);
    // Slices of time would wake each process forty times a second, or keep the machine busy. What runtimes do by
    // themselves is not in all windows.
    const [switchesMost, ticksMost] = [15, 10];
    await eventually(async () => {
      const before = children.map(({ pid }) => [switchesOf(pid), ticksOf(pid)] as const);
      await sleep(1000);
      return children.every(({ pid }, index) => {
        const [switches, ticks] = before[index]!;
        return switchesOf(pid) - switches < switchesMost && ticksOf(pid) - ticks < ticksMost;
      });
    }, "a second in which all sleep");
    const watcher = ClientCore.open(target);
    // It has woken them all.
    await eventually(() => watcher.stats().waitingServers >= crowd, "all sleep again");
    watcher.close();
  });
}

for (const name of ownRuntime) {
  test(`${name}: those that watch have as many descriptors after others have come and died`, async () => {
    const target = newTarget();
    const watchers = [await start(name, target, 3), await start(name, target, 3)];
    const see = (others: number) => Promise.all(watchers.map((child) => sees(child, others)));
    const descriptors = () => watchers.map(({ pid }) => processState(pid).descriptors);
    const liveAndDie = async () => {
      const victim = await start(name, target, 2);
      await see(3 + 2);
      victim.kill("SIGKILL");
      await see(3);
    };
    await liveAndDie();
    const before = descriptors();
    for (let lives = 0; lives < 9; lives++) await liveAndDie();
    // Each life would leave one at least. The runtimes open a few of their own, now or later.
    await eventually(
      () => descriptors().every((count, index) => count <= before[index]! + 4),
      "as many descriptors as before",
    );
  });
}

async function start(runtime: Runtime, target: string, count: number): Promise<Child> {
  const child = await spawn(runtime, "sentinels.ts", [target, `${count}`], {
    env: { BUN_GC_TIMER_DISABLE: "1" },
  });
  await child.expect("watching");
  return child;
}

async function sees(child: Child, others: number): Promise<void> {
  child.send(`others ${others}`);
  await child.expect(`sees ${others}`);
}

/** Voluntary context switches of a process. */
function switchesOf(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
      sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]);
    } catch {
      // The thread has ended meanwhile.
    }
  }
  return sum;
}

/** The time on a processor, in hundredths of a second. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
