/** Contenders whose processes or threads are killed, stopped or end: what they had is the next one's, and nothing else is. */
import { assert, assertEquals } from "@std/assert";
import { eventually, ownRuntime, present, runtimes, settled, test } from "../support/harness.ts";
import {
  assertIdle,
  type Contender,
  openLimit,
  openLimits,
  startContender,
  startProcess,
  waiting,
} from "../support/limit.ts";
import type { Form } from "../fixtures/limit/commands.ts";

const forms: readonly Form[] = ["promise", "sync"];

for (const runtime of runtimes) {
  test(`${runtime}: the holder is killed: who waits for it in a promise gets its place`, async () => {
    const [watcher] = openLimits(1);
    const holder = await startContender(runtime, watcher!.target);
    const { token } = await holder.acquire();
    const waits = watcher!.acquire();
    await waiting(watcher!, 1);
    await holder.child.killed();
    const lock = present(await waits);
    assertEquals(lock.id, 1);
    assert(lock.token > BigInt(token!));
    lock.release();
    watcher!.close();
    assertIdle(watcher!.target, 1);
  });
}

for (const runtime of ownRuntime) {
  test(`${runtime}: the holder is killed while the next one sleeps, and while those behind it do`, async () => {
    const [watcher] = openLimits(1);
    const contenders: Contender[] = [];
    const waits: ReturnType<Contender["acquire"]>[] = [];
    for (const form of [...forms, ...forms]) {
      const contender = await startContender(runtime, watcher!.target);
      contenders.push(contender);
      waits.push(contender.acquire({}, form));
      await eventually(() => contendersOf(watcher!) === contenders.length, "it queues");
    }
    assertEquals((await waits[0])!.id, 1);
    for (let next = 1; next < contenders.length; next++) {
      await settled(contenders[next]!.child);
      await contenders[next - 1]!.child.killed();
      assertEquals((await waits[next])!.id, 1);
      assertEquals(watcher!.holders().map(({ pid }) => pid), [contenders[next]!.pid]);
    }
  });

  test(`${runtime}: a waiter is killed: those behind it lose nothing, and it is in no list`, async () => {
    const [holder, third] = openLimits(2);
    const lock = present(holder!.tryAcquire());
    const victim = await startContender(runtime, holder!.target);
    const asleep = await startContender(runtime, holder!.target);
    void victim.acquire();
    await waiting(holder!, 1);
    const waits = asleep.acquire({}, "sync");
    await waiting(holder!, 2);
    const last = third!.acquire();
    await waiting(holder!, 3);
    await settled(asleep.child);
    await victim.child.killed();
    await eventually(() => holder!.waiters().length === 2, "the dead one is no waiter");
    lock.release();
    assertEquals((await waits).id, 1);
    assertEquals(third!.isHeld, false);
    await asleep.child.killed();
    assertEquals(present(await last).id, 1);
  });

  test(`${runtime}: a grantee that is stopped keeps its place, and has it when it goes on`, async () => {
    const [holder, next] = openLimits(2);
    const lock = present(holder!.tryAcquire());
    const stopped = await startContender(runtime, holder!.target);
    const waits = stopped.acquire();
    await waiting(holder!, 1);
    const later = next!.acquire();
    await waiting(holder!, 2);
    await stopped.child.stopped();
    lock.release();
    await eventually(() => holder!.holders()[0]?.pid === stopped.pid, "it is granted");
    assertEquals([next!.isHeld, holder!.tryAcquire()], [false, null]);
    stopped.child.kill("SIGCONT");
    assertEquals((await waits).id, 1);
    await stopped.tell({ do: "release" });
    present(await later);
  });

  test(`${runtime}: a grantee is killed before it wakes up: the place is the next one's`, async () => {
    const [holder, next] = openLimits(2);
    for (const form of forms) {
      const lock = present(holder!.tryAcquire());
      const victim = await startContender(runtime, holder!.target);
      void victim.acquire({}, form);
      await waiting(holder!, 1);
      const later = next!.acquire();
      await waiting(holder!, 2);
      await victim.child.stopped();
      lock.release();
      await eventually(() => holder!.holders()[0]?.pid === victim.pid, "it is granted");
      victim.child.kill("SIGKILL");
      const won = present(await later);
      assertEquals(holder!.holders().map(({ ticket }) => ticket), [won.ticket]);
      won.release();
    }
  });

  test(`${runtime}: a process dies with a holder, a waiter and a sharer: nothing of it is left`, async () => {
    const [one] = openLimits(1, { max: 2 });
    const other = openLimit();
    const contender = await startContender(runtime, one!.target);
    await contender.open(one!.target, {}, "second");
    await contender.open(one!.target, {}, "third");
    await contender.open(other.target, {}, "shared");
    assertEquals((await contender.acquire()).id, 1);
    assertEquals((await contender.acquire({}, "try", "second")).id, 2);
    assertEquals((await contender.acquire({ mode: "shared" }, "promise", "shared")).id, 1);
    void contender.acquire({}, "promise", "third");
    await waiting(one!, 1);
    present(other.tryAcquire({ mode: "shared" }));
    const second = openLimit(one!.target);
    const waits = [one!.acquire(), second.acquire()];
    await waiting(one!, 3);
    await contender.child.killed();
    const ids = (await Promise.all(waits)).map((lock) => present(lock).id);
    assertEquals(ids.sort(), [1, 2]);
    await eventually(() => other.holders().length < 2, "the dead sharer is none");
    assertEquals(other.holders().length, 1, "the sharer of this process still holds");
    other.close();
    assertIdle(other.target, 1);
  });

  test(`${runtime}: a process that just ends frees its place, without a release`, async () => {
    const [watcher] = openLimits(1);
    const contender = await startContender(runtime, watcher!.target);
    await contender.acquire();
    const waits = watcher!.acquire();
    await waiting(watcher!, 1);
    contender.child.end();
    present(await waits);
    await contender.child.ended();
  });

  test(`${runtime}: a Worker is a contender of its own, and what ends it frees its place`, async () => {
    const [watcher] = openLimits(1);
    const host = await startProcess(runtime);
    assertEquals(await host.tell({ do: "thread", target: watcher!.target, options: {} }), 1);
    await host.open(watcher!.target);
    assertEquals((await host.acquire({}, "try")).id, undefined);
    const waits = watcher!.acquire();
    await waiting(watcher!, 1);
    await host.tell({ do: "terminate" });
    present(await waits).release();
    assertEquals((await host.acquire({}, "try")).id, 1, "the process lives on");
  });
}

test("close gives back the place, and ends the wait", async () => {
  const [holder, waiter, next] = openLimits(3);
  const lock = present(holder!.tryAcquire());
  const waits = waiter!.acquire();
  waits.catch(() => {});
  await waiting(holder!, 1);
  const later = next!.acquire();
  await waiting(next!, 2);
  waiter!.close();
  const error = await waits.then(() => null, (error) => error);
  assertEquals((error as { code?: string } | null)?.code, "CLOSED");
  holder!.close();
  assertEquals([lock.isHeld, lock.heartbeat(), lock.release()], [false, false, false]);
  present(await later);
});

/** Those that hold or wait. */
function contendersOf(limit: ReturnType<typeof openLimit>): number {
  return limit.holders().length + limit.waiters().length;
}
