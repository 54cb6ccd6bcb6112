/** Worker processes that their guard ends, with all that they have started, and those that it lets live. */
import { assert, assertEquals } from "@std/assert";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { Client } from "../../mod.ts";
import { killTree } from "../../src/pool/link/guard.ts";
import { WorkerRecord } from "../../src/pool/link/record.ts";
import { startProcess } from "../../src/runtime/processes.ts";
import {
  assertRejectsCode,
  atEnd,
  type Child,
  doomed,
  eventually,
  longEnough,
  newTarget,
  ownRuntime,
  processState,
  type Runtime,
  runtimes,
  sleep,
  spawn,
  startClient,
  test,
  text,
} from "../support/harness.ts";

/** A process that has ended, and whose parent has not asked for its exit code, is gone as well. */
function isGone(pid: number): boolean {
  try {
    return processState(pid).state === "Z";
  } catch {
    return true;
  }
}

/** What a file says of each thread of a process. Threads, and the process itself, may end meanwhile. */
function ofThreads(pid: number, file: string): string[] {
  const lookAt = <T>(look: () => T[]): T[] => {
    try {
      return look();
    } catch (error) {
      if (!["ENOENT", "ESRCH"].includes((error as { code?: string }).code ?? "")) throw error;
      return [];
    }
  };
  return lookAt(() => readdirSync(`/proc/${pid}/task`)).flatMap((thread) =>
    lookAt(() => [readFileSync(`/proc/${pid}/task/${thread}/${file}`, "utf8")])
  );
}

/** All processes below one. */
function descendants(pid: number): number[] {
  const children = ofThreads(pid, "children").flatMap((text) => text.split(" ").filter(Boolean));
  return children.map(Number).flatMap((child) => [child, ...descendants(child)]);
}

const everything = { denoPermissions: ["--allow-all"] };

for (const name of runtimes) {
  for (const mode of ["loop", "sleep", "children"]) {
    test(`${name}: a worker that would go on (${mode}) ends with its supervisor`, async () => {
      const supervisor = await spawn(name, "guarded.ts", ["supervise", mode], everything);
      const [worker] = await supervisor.message<[number]>();
      atEnd(() => Promise.resolve(isGone(worker) || killTree(worker)).then(() => {}));
      const children = mode === "children" ? 4 : 0;
      await eventually(() => descendants(worker).length >= children);
      const started = [worker, ...descendants(worker)];
      await supervisor.killed();
      await eventually(() => started.every(isGone), `the worker and its ${children} children end`);
    });
  }
}

test("a tree of processes is killed, also where it has left its group", async () => {
  const child = startProcess(
    {
      program: "/bin/sh",
      args: ["-c", "setsid sh -c 'setsid sleep 1001 & exec sleep 1002' & wait"],
    },
    { stdio: "ignore", isDetached: true },
  );
  const exited = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
  const pid = child.pid!;
  await eventually(() => descendants(pid).length === 2);
  const all = descendants(pid);
  killTree(pid);
  assertEquals(await exited, "SIGKILL");
  await eventually(() => all.every(isGone));
});

/** A worker, its record, and a client of the channel that it serves. */
class Site implements Disposable {
  readonly target = newTarget();
  readonly client: Client = Client.open(this.target, { create: { slots: 4, maxDeliveries: 1 } });
  readonly record: WorkerRecord = WorkerRecord.create(2);

  async start(runtime: Runtime, abortGrace: number, hungTimeout = Infinity): Promise<Child> {
    const worker = await spawn(
      runtime,
      "guarded.ts",
      ["serve", this.target, `${abortGrace}`, `${hungTimeout}`],
      { inherit: [this.record.fd] },
    );
    await worker.expect("ready");
    return worker;
  }

  [Symbol.dispose](): void {
    this.client.close();
    this.record.close();
  }
}

interface Begun {
  readonly entry: number;
  readonly id: string;
}

for (const name of runtimes) {
  for (const what of ["loop", "sleep"]) {
    test(`${name}: a worker in a call (${what}) that nobody waits for is killed`, async () => {
      await longEnough(200, async (timeout) => {
        using site = new Site();
        const worker = await site.start(name, 50);
        // By then the guard sleeps until a call begins.
        await eventually(() => guardState(worker.pid) === "S");
        const call = doomed(site.client.request(what, { timeout }));
        const begun = doomed(worker.message<Begun>());
        await Promise.race([begun, call.catch(() => {})]);
        const { running: [running], ended: early } = site.record.read();
        if (!running || running.condemned !== null || early !== null) {
          worker.kill("SIGKILL");
          return false;
        }
        // Its guard may have been quicker than its line.
        const told = await begun.catch(() => null);
        if (!told) return false;
        const { entry, id } = told;
        assertEquals([running.entry, running.method, running.id], [entry, what.length, BigInt(id)]);
        assert(Math.abs(running.since - Date.now()) < 60_000);
        await assertRejectsCode(call, "TIMEOUT");
        assertEquals(await worker.exited, { code: null, signal: "SIGKILL" });
        const { calls, ended } = site.record.read();
        assertEquals({ calls, ended }, { calls: 0, ended: { reason: "timeout", id: BigInt(id) } });
        return true;
      });
    });
  }

  test(`${name}: a worker is killed whose caller has cancelled, or has died`, async () => {
    for (const how of ["cancel", "death"]) {
      using site = new Site();
      const worker = await site.start(name, 20);
      const caller = await startClient(name, site.target, "promise");
      const controller = new AbortController();
      const { signal } = controller;
      if (how === "death") caller.send({ op: "request", payload: "loop" });
      else doomed(site.client.request("loop", { signal }));
      const { id } = await worker.message<Begun>();
      // Nobody notices a death while the only server is busy.
      if (how === "death") site.client.close();
      await sleep(100);
      assert(worker.isRunning, how);
      if (how === "death") await caller.killed();
      else controller.abort();
      assertEquals(await worker.exited, { code: null, signal: "SIGKILL" }, how);
      assertEquals(site.record.read().ended, { reason: "timeout", id: BigInt(id) }, how);
    }
  });

  test(`${name}: a worker that ends an abandoned call within the grace lives`, async () => {
    using site = new Site();
    const worker = await site.start(name, 60_000);
    await longEnough(50, async (timeout) => {
      const { calls } = site.record.read();
      const call = site.client.request(`wait ${6 * timeout}`, { timeout });
      await assertRejectsCode(call, "TIMEOUT");
      assertEquals(text(await site.client.request("next")), "next");
      const counted = () => site.record.read().calls - calls;
      await eventually(() => counted() > 0 && site.record.read().running.length === 0);
      // One only: the worker was too late for the first.
      return counted() === 2;
    });
    // Long calls that somebody waits for do not count, nor do those that fail.
    assertEquals(text(await site.client.request("fail")), "fail");
    assert(worker.isRunning);
    await eventually(() => site.record.read().failures === 1);
    const { failures, ended, running } = site.record.read();
    assertEquals({ failures, ended, running }, { failures: 1, ended: null, running: [] });
  });

  test(`${name}: a grace of nothing kills nobody who has a caller`, async () => {
    using site = new Site();
    const worker = await site.start(name, 0);
    for (let count = 0; count < 5; count++) {
      assertEquals(text(await site.client.request("wait 30", { timeout: 60_000 })), "wait 30");
    }
    assert(worker.isRunning);
  });

  test(`${name}: a worker is killed that has one call for too long`, async () => {
    await longEnough(150, async (hungTimeout) => {
      using site = new Site();
      const worker = await site.start(name, 50, hungTimeout);
      const isShort = await site.client.request("wait 10").then(() => true, () => false);
      if (!isShort) return false;
      const call = doomed(site.client.request("sleep"));
      await worker.message();
      // Its guard may have been quicker than its line.
      const told = await worker.message<Begun>().catch(() => null);
      if (!told) return false;
      const { id } = told;
      await assertRejectsCode(call, "SERVER_DIED");
      assertEquals(await worker.exited, { code: null, signal: "SIGKILL" });
      assertEquals(site.record.read().ended, { reason: "hung", id: BigInt(id) });
      return true;
    });
  });

  test(`${name}: the guard leaves the memory of a closed channel alone`, async () => {
    using site = new Site();
    const worker = await site.start(name, 0);
    doomed(site.client.request("close 200"));
    await worker.message();
    await worker.expect("done");
    assertEquals(await worker.exited, { code: 7, signal: null });
  });

  test(`${name}: the supervisor condemns a worker, which ends at the end of that call`, async () => {
    await longEnough(300, async (duration) => {
      using site = new Site();
      const worker = await site.start(name, 60_000);
      doomed(site.client.request(`wait ${duration}`));
      await worker.message();
      const [running] = site.record.read().running;
      if (!running) return false;
      const { entry, sequence } = running;
      assertEquals(site.record.condemn(entry, sequence + 1, "hung"), false);
      assertEquals(site.record.condemn(entry + 1, sequence, "hung"), false);
      // The call may be over by now.
      if (!site.record.condemn(entry, sequence, "hung")) return false;
      assertEquals(site.record.condemn(entry, sequence, "timeout"), false);
      assertEquals(await worker.exited, { code: null, signal: "SIGKILL" });
      assertEquals(site.record.read().ended?.reason, "hung");
      return true;
    });
  });
}

/** What the kernel says of the guard's thread; nothing before the thread has its name. */
function guardStatus(pid: number): string {
  return ofThreads(pid, "status").find((text) => text.startsWith("Name:\ttandem-guard\n")) ?? "";
}

function guardState(pid: number): string | undefined {
  return /^State:\s+(\w)/m.exec(guardStatus(pid))?.[1];
}

function guardWakeUps(pid: number): number {
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(guardStatus(pid))?.[1]);
}

for (const name of ownRuntime) {
  test(`${name}: while no call runs, the guard does not wake up`, async () => {
    using site = new Site();
    const worker = await site.start(name, 20);
    await site.client.request("warm");
    let before = NaN;
    await eventually(async () => {
      before = guardWakeUps(worker.pid);
      await sleep(300);
      // One that waits for a processor does not wake up either.
      return guardWakeUps(worker.pid) === before && guardState(worker.pid) === "S";
    }, "the guard comes to rest");
    await sleep(300);
    assertEquals(guardWakeUps(worker.pid), before);
    // While one runs, it does.
    doomed(site.client.request("wait 100000"));
    await eventually(() => guardWakeUps(worker.pid) > before + 3);
  });

  test(`${name}: calls that are abandoned about when they end cost at most their worker`, async () => {
    using site = new Site();
    let deaths = 0;
    let survivals = 0;
    let worker = await site.start(name, 10);
    for (let count = 0; count < 40; count++) {
      const before = site.record.read().calls;
      // The guard looks at the deadline, then ten milliseconds later.
      const duration = 30 + count % 3;
      await site.client.request(`wait ${duration}`, { timeout: 20 }).catch(() => {});
      // It has ended, its worker has died for it, or it was over before the worker could take it.
      const isOver = () =>
        site.client.stats().inFlight === 0 && site.record.read().running.length === 0;
      await eventually(() => site.record.read().calls > before || !worker.isRunning || isOver());
      const { calls, ended, running } = site.record.read();
      if (calls > before || worker.isRunning) {
        survivals += 1;
        assertEquals({ ended, running }, { ended: null, running: [] });
        assertEquals(text(await site.client.request("next")), "next");
      } else {
        deaths += 1;
        assertEquals(await worker.exited, { code: null, signal: "SIGKILL" });
        assertEquals([ended?.reason, ended?.id], ["timeout", running[0]?.id]);
        site.record.close();
        Object.assign(site, { record: WorkerRecord.create(2) });
        worker = await site.start(name, 10);
      }
    }
    assertEquals(deaths + survivals, 40);
  });
}

test("this process has no guard that was not started", () => {
  const names = ofThreads(process.pid, "comm");
  assert(names.length > 0 && !names.includes("tandem-guard\n"));
});
