/** Random operations of several contenders of one process, compared with a list and a set. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { rmSync } from "node:fs";
import { Limit, type Lock, type LockMode } from "../../src/limit/main.ts";
import { check, patience } from "../model/check.ts";
import { newTarget, present, test } from "../support/harness.ts";

/** Of each contender: how many may wait before it; null: any number. */
const standby: readonly (number | null)[] = [null, null, null, null, 1, 0];

type Operation =
  | { readonly do: "acquire" | "try"; readonly who: number; readonly mode: LockMode }
  | { readonly do: "release" | "cancel" | "close" | "steal"; readonly who: number }
  | { readonly do: "resize"; readonly max: number };

const who = fc.nat({ max: standby.length - 1 });
const mode = fc.constantFrom<LockMode>("exclusive", "exclusive", "shared");
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("acquire" as const), who, mode }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("try" as const), who, mode }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("release" as const), who }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("cancel" as const, "close" as const), who }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("steal" as const), who }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("resize" as const),
      max: fc.integer({ min: 1, max: 4 }),
    }),
  },
);

interface Entry {
  readonly who: number;
  readonly mode: LockMode;
}

/** What a limit has to do. */
class Model {
  max: number;
  waiting: Entry[] = [];
  held: (Entry & { readonly id: number })[] = [];

  constructor(max: number) {
    this.max = max;
  }

  isIdle(who: number): boolean {
    return ![...this.waiting, ...this.held].some((entry) => entry.who === who);
  }

  isWaiting(who: number): boolean {
    return this.waiting.some((entry) => entry.who === who);
  }

  idOf(who: number): number | null {
    return this.held.find((entry) => entry.who === who)?.id ?? null;
  }

  leave(who: number): void {
    this.waiting = this.waiting.filter((entry) => entry.who !== who);
    this.held = this.held.filter((entry) => entry.who !== who);
    this.serve();
  }

  /** Gives what can be given. */
  serve(): void {
    for (let first = this.waiting[0]; first; first = this.waiting[0]) {
      const id = this.#placeFor(first.mode);
      if (id === null) return;
      this.waiting.shift();
      this.held.push({ ...first, id });
    }
  }

  #placeFor(mode: LockMode): number | null {
    const shared = this.held.find((entry) => entry.mode === "shared");
    if (mode === "shared" && shared) return shared.id;
    const taken = new Set(this.held.map(({ id }) => id));
    if (taken.size >= this.max) return null;
    let id = 1;
    while (taken.has(id)) id += 1;
    return id;
  }
}

/** A contender, and its attempt that waits. */
class Contender {
  readonly #target: string;
  readonly #standby: number | null;
  limit: Limit;
  lock: Lock | null = null;
  waits: Promise<Lock | null> | null = null;
  cancel: AbortController = new AbortController();

  constructor(target: string, standby: number | null) {
    this.#target = target;
    this.#standby = standby;
    this.limit = this.#open();
  }

  #open(): Limit {
    return new Limit(this.#target, this.#standby === null ? {} : { standby: this.#standby });
  }

  acquire(mode: LockMode): void {
    this.cancel = new AbortController();
    const { signal } = this.cancel;
    this.waits = this.limit.acquire({ mode, signal }).catch((error) => {
      if (error === signal.reason || error.code === "CLOSED") return null;
      throw error;
    });
    // A failure is found when the operation's outcome is compared.
    this.waits.catch(() => {});
  }

  reopen(): void {
    this.limit.close();
    this.lock = null;
    this.limit = this.#open();
  }

  async settle(): Promise<void> {
    if (this.waits === null) return;
    this.lock = await this.waits;
    this.waits = null;
  }
}

test("a limit does what its model does", async () => {
  const target = newTarget();
  const lists = fc.array(operation, { minLength: 1, maxLength: 60 });
  await check(fc.asyncProperty(fc.integer({ min: 1, max: 3 }), lists, async (max, list) => {
    const watcher = new Limit(target, { max });
    const contenders = standby.map((count) => new Contender(target, count));
    const model = new Model(max);
    try {
      for (const operation of list) {
        await perform(operation, model, contenders, watcher);
        await compare(model, contenders, watcher);
      }
    } finally {
      for (const { limit } of contenders) limit.close();
      await Promise.all(contenders.map((contender) => contender.settle()));
      watcher.close();
      rmSync(target, { force: true });
    }
  }));
}, { timeout: patience });

async function perform(
  operation: Operation,
  model: Model,
  contenders: readonly Contender[],
  watcher: Limit,
): Promise<void> {
  if (operation.do === "resize") {
    watcher.resize(operation.max);
    model.max = operation.max;
    return model.serve();
  }
  const { who } = operation;
  const contender = contenders[who]!;
  switch (operation.do) {
    case "acquire": {
      if (!model.isIdle(who)) return;
      model.waiting.push({ who, mode: operation.mode });
      model.serve();
      contender.acquire(operation.mode);
      const before = model.waiting.findIndex((entry) => entry.who === who);
      const most = standby[who]!;
      if (before < 0 || most === null || before < most) return;
      model.leave(who);
      await contender.settle();
      assertEquals([contender.lock, contender.limit.refusal], [null, "standby-full"]);
      return;
    }
    case "try": {
      if (!model.isIdle(who)) return;
      model.waiting.push({ who, mode: operation.mode });
      model.serve();
      contender.lock = contender.limit.tryAcquire({ mode: operation.mode });
      assertEquals(contender.lock?.id ?? null, model.idOf(who), "an attempt that does not wait");
      if (model.isWaiting(who)) model.leave(who);
      return;
    }
    case "steal": {
      if (!model.isIdle(who)) return;
      const lost = model.held.map((entry) => contenders[entry.who]!);
      model.held = [];
      model.waiting.unshift({ who, mode: "exclusive" });
      model.serve();
      contender.lock = present(contender.limit.tryAcquire({ steal: true }));
      for (const { limit, lock } of lost) {
        assertEquals([limit.isHeld, lock!.isHeld], [false, false], "stolen");
      }
      return;
    }
    case "release":
      if (model.idOf(who) === null) return;
      contender.lock!.release();
      contender.lock = null;
      return model.leave(who);
    case "cancel":
      if (!model.isWaiting(who)) return;
      contender.cancel.abort(new Error("on purpose"));
      model.leave(who);
      await contender.settle();
      return assertEquals(contender.lock, null);
    case "close":
      contender.reopen();
      model.leave(who);
      return await contender.settle();
  }
}

async function compare(
  model: Model,
  contenders: readonly Contender[],
  watcher: Limit,
): Promise<void> {
  for (const { who, id } of model.held) {
    const contender = contenders[who]!;
    await contender.settle();
    assertEquals([contender.lock?.id, contender.limit.isHeld], [id, true], `contender ${who}`);
  }
  const holders = watcher.holders().map(({ id, mode, ticket }) => ({ id, mode, ticket }));
  const expected = model.held.map(({ who, id, mode }) => {
    return { id, mode, ticket: contenders[who]!.lock!.ticket };
  });
  assertEquals(byTicket(holders), byTicket(expected), "holders");
  assertEquals(watcher.waiters().map(({ mode }) => mode), model.waiting.map(({ mode }) => mode));
  assertEquals(watcher.max, model.max);
}

function byTicket<T extends { readonly ticket: number }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => a.ticket - b.ticket);
}
