/** What a supervisor shares with a worker: posted messages, and channels that are damaged or cannot be made. */
import { assertEquals } from "@std/assert";
import { closeSync, openSync } from "node:fs";
import { ServerCore } from "../../src/channel/server_core.ts";
import { descriptors, type Order } from "../../src/pool/link/control.ts";
import { Inbox, Outbox } from "../../src/pool/link/post.ts";
import { bootstrapFor } from "../../src/pool/supervisor/bootstrap_file.ts";
import { type WorkerPlan, WorkerProcess } from "../../src/pool/supervisor/worker_process.ts";
import type { WorkerExit } from "../../src/pool/types.ts";
import { assertThrowsCode, atEnd, eventually, runtime, test } from "../support/harness.ts";
import { ModeFile, openDescriptors, poolDefaults, workerFile } from "../support/pool.ts";

/** More messages than the channel has room for. */
const many = 1_100;

/** The other process ends the channel, so that further messages fail. */
function damage(fd: number): void {
  const other = ServerCore.fromFd(fd);
  other.endChannel();
  other.close();
}

/** How to start a worker of `fixtures/pool/`. */
function planOn(
  channelFd: number,
  file = "worker.ts",
  env: Readonly<Record<string, string>> = {},
): WorkerPlan {
  const { runtimeArgs } = poolDefaults;
  return {
    runtime,
    file: workerFile(file),
    bootstrap: bootstrapFor(runtime),
    args: [],
    flags: (runtimeArgs as Partial<Record<string, readonly string[]>>)[runtime],
    env,
    cwd: undefined,
    uid: undefined,
    gid: undefined,
    channelFd,
    assignment: {
      number: 1,
      pool: "test",
      path: null,
      concurrency: 1,
      abortGrace: 100,
      hungTimeout: null,
      maxCalls: null,
      idempotent: false,
      afterError: "keep",
    },
  };
}

test("messages wait for room, and arrive in their order", async () => {
  const outbox = Outbox.create<number>("test");
  const inbox = Inbox.fromFd<number>(outbox.fd);
  const received: number[] = [];
  try {
    for (let number = 0; number < many; number++) outbox.post(number);
    await eventually(() => {
      for (let next = inbox.take(); next !== undefined; next = inbox.take()) received.push(next);
      return received.length === many;
    });
    assertEquals(received, Array.from({ length: many }, (_, number) => number));
  } finally {
    inbox.close();
    outbox.close();
  }
});

test("the channel is damaged while messages wait: they are dropped, and the owner is told once", async () => {
  const outbox = Outbox.create<number>("test");
  let lost = 0;
  outbox.onLost = () => void (lost += 1);
  try {
    for (let number = 0; number < many; number++) outbox.post(number);
    damage(outbox.fd);
    await eventually(() => lost > 0, "the owner is told");
    assertEquals(lost, 1);
  } finally {
    outbox.close();
  }
});

test("a worker damages the channel of its orders while some wait: it is killed, and nobody else is harmed", async () => {
  const exited = Promise.withResolvers<WorkerExit>();
  const channel = ServerCore.anonymous({ slots: 8 });
  // It reads no order.
  const mode = new ModeFile("blocks at import");
  const worker = new WorkerProcess(planOn(channel.fd, "changing.ts", mode.env), {
    reported: () => {},
    wrote: () => {},
    exited: (_, exit) => exited.resolve(exit),
  });
  atEnd(async () => {
    worker.kill();
    await exited.promise;
    channel.close();
  });
  await eventually(() => mode.starts.length === 1, "it blocks");
  const order: Order = { kind: "goOn" };
  for (let count = 0; count < many; count++) worker.order(order);
  const fd = openSync(`/proc/${worker.pid}/fd/${descriptors.orders}`, "r+");
  damage(fd);
  closeSync(fd);
  assertEquals((await exited.promise).signal, "SIGKILL");
});

test("a worker whose channels cannot be made leaves no descriptor", () => {
  const plan = planOn(0);
  const unsent = { ...plan.assignment, pool: (() => {}) as unknown as string };
  const listener = { reported: () => {}, wrote: () => {}, exited: () => {} };
  const make = () => new WorkerProcess({ ...plan, assignment: unsent }, listener);
  // What is loaded once stays.
  assertThrowsCode(make, "NOT_SERIALIZABLE");
  const before = openDescriptors();
  assertThrowsCode(make, "NOT_SERIALIZABLE");
  assertEquals(openDescriptors(), before);
});
