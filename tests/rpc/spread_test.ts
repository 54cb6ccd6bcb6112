/** Calls are spread over the services of a target: a busy one leaves the next call to an idle one. */
import { assert, assertEquals } from "@std/assert";
import { Client, connect, serve, Server } from "../../mod.ts";
import type { Methods } from "../fixtures/spread.ts";
import {
  type Child,
  eventually,
  newTarget,
  type Runtime,
  runtimes,
  spawn,
  test,
  text,
} from "../support/harness.ts";
import { transports } from "../support/sites.ts";

type Form = "typed" | "serve" | "iterate" | "sync";

/** Sends a job and returns the number of the service that has done it. */
type Send = (method: keyof Methods, ms: number) => Promise<string>;

const jobs = 10;
const bursts = 5;
const burstsMost = 100;

async function start(
  runtime: Runtime,
  target: string,
  form: Form,
  number: number,
  concurrency?: number,
): Promise<Child> {
  const rest = concurrency === undefined ? [] : [`${concurrency}`];
  const service = await spawn(runtime, "spread.ts", [target, form, `${number}`, ...rest]);
  await service.expect("ready");
  return service;
}

/** How many of the jobs of a burst each service has done. */
async function burst(send: Send, method: keyof Methods, ms: number): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: jobs }, () => send(method, ms)));
  assertEquals(answers.length, jobs);
  return [1, 2].map((number) => answers.filter((answer) => answer === `${number}`).length);
}

/**
 * Sends bursts until most of the last ones are even. A busy machine may keep a service from its share of a burst, and
 * a service's first calls take long, because it compiles.
 */
async function assertEvenBursts(send: Send, method: keyof Methods, ms: number): Promise<void> {
  const splits: number[][] = [];
  const areEven = () =>
    splits.slice(-bursts).filter(([first]) => Math.abs(first! - jobs / 2) <= 1).length > bursts / 2;
  while (!areEven()) {
    assert(splits.length < burstsMost, splits.map((split) => split.join(":")).join(" "));
    splits.push(await burst(send, method, ms));
  }
}

for (const [first, second] of [["deno", "deno"], ["bun", "bun"], ["deno", "bun"]] as const) {
  test(`${first} and ${second}: bursts are shared equally`, async () => {
    for (
      const [method, concurrency] of [["block", undefined], ["wait", 1], [
        "wait",
        undefined,
      ]] as const
    ) {
      const target = newTarget();
      await start(first, target, "typed", 1, concurrency);
      await start(second, target, "typed", 2, concurrency);
      using remote = connect<Methods>(target, { timeout: 30_000 });
      await assertEvenBursts((name, ms) => remote[name](ms), method, 15);
    }
  });

  test(`${first} and ${second}: raw requests are shared equally`, async () => {
    for (
      const [form, method] of [["serve", "wait"], ["iterate", "wait"], ["sync", "block"]] as const
    ) {
      const target = newTarget();
      await start(first, target, form, 1);
      await start(second, target, form, 2);
      using client = Client.open(target);
      const send: Send = async (name, ms) => text(await client.request(`${name} ${ms}`));
      await assertEvenBursts(send, method, 15);
    }
  });
}

for (const runtime of runtimes) {
  test(`${runtime}: a service that is stopped, or dead, holds up no call`, async () => {
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) {
      const target = newTarget();
      const gone = await start(runtime, target, "typed", 1);
      await start(runtime, target, "typed", 2);
      using remote = connect<Methods>(target, { timeout: 30_000 });
      const send: Send = (name, ms) => remote[name](ms);
      await burst(send, "wait", 5);
      if (signal === "SIGSTOP") await gone.stopped();
      else gone.kill(signal);
      for (let index = 0; index < 3; index++) assertEquals(await burst(send, "wait", 5), [0, jobs]);
      if (signal === "SIGKILL") continue;
      // It has its share again.
      gone.kill("SIGCONT");
      await assertEvenBursts(send, "wait", 15);
    }
  });

  test(`${runtime}: a closing service counts as busy`, async () => {
    const target = newTarget();
    const closing = await start(runtime, target, "typed", 1, 1);
    using remote = connect<Methods>(target, { timeout: 30_000 });
    const held = remote.hold(0).catch(() => {});
    await closing.expect("holding");
    await start(runtime, target, "typed", 2);
    closing.send("close");
    await closing.expect("closing");
    for (let index = 0; index < 3; index++) {
      assertEquals(await burst((name, ms) => remote[name](ms), "wait", 5), [0, jobs]);
    }
    closing.kill("SIGKILL");
    await held;
  });

  test(`${runtime}: a handle that never receives gets no calls`, async () => {
    const target = newTarget();
    using _silent = Server.open(target);
    await start(runtime, target, "typed", 2);
    using remote = connect<Methods>(target, { timeout: 30_000 });
    assertEquals(await burst((name, ms) => remote[name](ms), "wait", 5), [0, jobs]);
  });
}

for (const transport of transports) {
  test(`${transport.title}: the least busy service gets the next call`, async () => {
    const target = transport.newTarget();
    const busy: [number, number] = [0, 0];
    const ends: (() => void)[] = [];
    const services = [0, 1].map((place) =>
      serve(target, {
        hold: async () => {
          busy[place]! += 1;
          await new Promise<void>((resolve) => ends.push(resolve));
          busy[place]! -= 1;
          return place;
        },
      })
    );
    using remote = connect<{ hold(): Promise<number> }>(target, { timeout: 30_000 });
    const calls: Promise<number>[] = [];
    for (let count = 1; count <= 6; count++) {
      calls.push(remote.hold());
      await eventually(() => busy[0] + busy[1] === count, "the call has begun");
      assert(Math.abs(busy[0] - busy[1]) <= 1, busy.join(":"));
    }
    // One of them becomes idle, and gets all calls until both are equal again.
    const began = [...busy];
    for (const end of ends.splice(0)) end();
    const places = await Promise.all(calls);
    assertEquals([0, 1].map((place) => places.filter((each) => each === place).length), began);
    await Promise.all(services.map((service) => service.close()));
    if (transport.title === "shared memory") Server.unlink(target);
  });
}
