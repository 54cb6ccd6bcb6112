/** Contexts of calls: each handler sees only its own. */
import { assert, assertEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import process from "node:process";
import { callContext, connect, type Remote, serve, withOptions } from "../../mod.ts";
import { eventually, newTarget, sleep, test, text } from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

const user = new AsyncLocalStorage<string>();

test("a context that a handler enters is not seen by the next one: raw server", async () => {
  using pair = openPair();
  const { server, client } = pair;
  // Each handler starts from the context of `serve`.
  const serving = user.run("base", () =>
    server.serve((request) => {
      const seen = user.getStore() ?? "nothing";
      const name = request.text();
      user.enterWith(name);
      // So that the server's event loop starts from here.
      request.signal.addEventListener("abort", () => {});
      if (name.startsWith("s")) return seen;
      return sleep(1).then(() => `${seen} ${user.getStore()}`);
    }));
  for (let round = 0; round < 20; round++) {
    const names = ["s1", "a2", "s3", "a4", "s5"];
    const answers = await Promise.all(names.map((name) => client.request(name)));
    assertEquals(answers.map(text), ["base", "base a2", "base", "base a4", "base"]);
  }
  server.close();
  await serving;
});

test("a context that a method enters is not seen by the next one: typed service", async () => {
  const target = newTarget();
  const enter = (name: string) => {
    const seen = user.getStore();
    user.enterWith(name);
    void callContext()!.signal;
    return seen;
  };
  const api = {
    now: enter,
    later: async (name: string) => {
      const seen = enter(name);
      await sleep(1);
      return [seen, user.getStore()];
    },
    async *items(name: string) {
      const seen = enter(name);
      yield seen;
      yield user.getStore();
      await sleep(1);
      yield user.getStore();
    },
  };
  const service = user.run("base", () => serve(target, api));
  using remote = connect<typeof api>(target);
  for (let round = 0; round < 20; round++) {
    const items: (string | undefined)[] = [];
    const [first, second, third] = await Promise.all([
      remote.now("x"),
      remote.later("y"),
      remote.now("z"),
      (async () => {
        for await (const item of remote.items("g")) items.push(item);
      })(),
    ]);
    assertEquals([first, second, third], ["base", ["base", "y"], "base"]);
    // Each step of a generator starts as the first one did.
    assertEquals(items, ["base", "base", "base"]);
  }
  await service.close();
});

test("code that a method leaves running keeps its context", async () => {
  const target = newTarget();
  const seen: (string | undefined)[] = [];
  const look = () => seen.push(callContext()?.method);
  const api = {
    timer: () => void setTimeout(look, 1),
    micro: () => queueMicrotask(look),
    promise: () => void Promise.resolve().then(look),
    immediate: () => void setImmediate(look),
  };
  await using service = serve(target, api);
  using remote = connect<typeof api>(target);
  // Often, so that no shortcut learnt from earlier calls applies.
  for (let round = 0; round < 300; round++) await remote.micro();
  seen.length = 0;
  for (const name of ["timer", "micro", "promise", "immediate"] as const) await remote[name]();
  await eventually(() => seen.length === 4);
  assertEquals(seen.sort(), ["immediate", "micro", "promise", "timer"]);
  assertEquals(callContext(), undefined);
  void service;
});

/** Steps of a random method. */
type Step =
  | { readonly do: "look" | "enter" | "timer" | "turn" | "microtask" }
  | { readonly do: "call"; readonly inner: Program };

/** A random call. */
interface Program {
  readonly tag: string;
  readonly shape: "sync" | "async" | "generator";
  readonly timeout: number;
  readonly steps: readonly Step[];
}

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.#state / 2 ** 32 * limit);
  }
  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

let tags = 0;

function makeUp(random: Random, depth: number): Program {
  const shape = random.of(["sync", "async", "generator"] as const);
  const sync = ["look", "enter", "timer"] as const;
  const all = [...sync, "turn", "microtask"] as const;
  const steps = Array.from({ length: 1 + random.below(6) }, (): Step => {
    if (shape !== "sync" && depth > 0 && random.below(3) === 0) {
      return { do: "call", inner: makeUp(random, depth - 1) };
    }
    return { do: random.of(shape === "sync" ? sync : all) };
  });
  const timeout = 30_000 + random.below(1_000_000);
  return { tag: `t${tags++}`, shape, timeout, steps };
}

test("random programs see exactly their own context, deadline and signal", async () => {
  const target = newTarget();
  const faults: string[] = [];
  let pending = 0;

  /** Asserts that this is the call of that program, while others run. */
  function look(program: Program, signal: AbortSignal | undefined, entered: string): void {
    const context = callContext();
    const note = (what: string) => faults.push(`${program.shape} ${program.tag}: ${what}`);
    if (context?.method !== program.shape) return void note(`is in ${context?.method}`);
    const isBody = program.shape === "generator";
    const left = context.timeRemaining;
    // Its own deadline, unless an outer call has less time.
    if (isBody ? left !== Infinity : !(left <= program.timeout)) note(`has ${left} ms left`);
    if (signal && context.signal !== signal) note("has another signal");
    if (user.getStore() !== entered) note(`sees ${user.getStore()}, not ${entered}`);
  }

  function act(program: Program, step: Step, state: { entered: string; signal: AbortSignal }) {
    const { entered, signal } = state;
    if (step.do === "enter") user.enterWith(state.entered = `${program.tag} entered`);
    else if (step.do === "timer") {
      pending += 1;
      setTimeout(() => {
        pending -= 1;
        // After its answer it has no deadline; it is the same call.
        if (callContext()?.signal !== signal) faults.push(`${program.tag}: a timer is elsewhere`);
        if (user.getStore() !== entered) faults.push(`${program.tag}: a timer sees another user`);
      }, 1);
    }
    look(program, signal, state.entered);
  }

  async function wait(step: Step): Promise<void> {
    if (step.do === "call") await run(remote, step.inner);
    else if (step.do === "turn") await sleep(0);
    else if (step.do === "microtask") await undefined;
  }

  const begin = () => ({ entered: "base", signal: callContext()!.signal });
  const api = {
    sync(program: Program): string {
      const state = begin();
      look(program, state.signal, "base");
      for (const step of program.steps) act(program, step, state);
      return program.tag;
    },
    async async(program: Program): Promise<string> {
      const state = begin();
      look(program, state.signal, "base");
      for (const step of program.steps) {
        await wait(step);
        act(program, step, state);
      }
      return program.tag;
    },
    async *generator(program: Program): AsyncGenerator<string, string> {
      const state = begin();
      look(program, state.signal, "base");
      for (const step of program.steps) {
        await wait(step);
        act(program, step, state);
        yield program.tag;
        // Each step starts as the first one did.
        state.entered = "base";
        look(program, state.signal, state.entered);
      }
      return program.tag;
    },
  };

  async function run(remote: Remote<typeof api>, program: Program): Promise<void> {
    const its = withOptions(remote, { timeout: program.timeout });
    if (program.shape !== "generator") {
      assertEquals(await its[program.shape](program), program.tag);
      return;
    }
    for await (const tag of its.generator(program)) assertEquals(tag, program.tag);
  }

  await using service = user.run("base", () => serve(target, api, { concurrency: 1_000 }));
  using remote = connect<typeof api>(target);
  const seed = Number(process.env.TANDEM_PROPERTY_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = new Random(seed);
  for (let round = 0; round < 40; round++) {
    const programs = Array.from({ length: 1 + random.below(8) }, () => makeUp(random, 2));
    await Promise.all(programs.map((program) => run(remote, program)));
    await eventually(() => pending === 0, "timers end");
    assertEquals(faults, [], `TANDEM_PROPERTY_SEED=${seed}, round ${round}`);
  }
  assert(tags > 40);
  void service;
});
