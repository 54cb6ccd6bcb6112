/** Steps of a stream keep their order, and leaving it ends the other side, as with a local generator. */
import { assert, assertEquals } from "@std/assert";
import { callContext, connect, serve } from "../../mod.ts";
import type { Checks } from "../fixtures/typed_checks.ts";
import { eventually, test } from "../support/harness.ts";
import { sites, transports } from "../support/sites.ts";

for (const site of sites) {
  test(`${site.title}: return() during a step stops the generator`, async () => {
    const target = site.newTarget();
    const service = await site.start("typed_checks.ts", target, {});
    using remote = connect<Checks>(target, { timeout: 30_000 });
    for (let round = 0; round < 2; round++) {
      const stream = remote.patient();
      assertEquals(await stream.next(), { done: false, value: "first" });
      await service.expect("patient begins");
      const step = stream.next();
      const left = stream.return("left");
      const after = stream.next();
      await service.expect("patient aborted CANCELLED");
      await service.expect("patient ends");
      assertEquals(await step, { done: true, value: "stopped" });
      assertEquals(await left, { done: true, value: "left" });
      assertEquals<unknown>(await after, { done: true, value: undefined });
    }
    // The first step not yet taken, and the call itself not yet answered.
    const early = remote.patient();
    const steps = [early.next(), early.next(), early.return("early"), early.next()];
    assertEquals<unknown>(await Promise.all(steps), [
      { done: false, value: "first" },
      { done: true, value: "stopped" },
      { done: true, value: "early" },
      { done: true, value: undefined },
    ]);
    service.send("stop");
    for (let line = ""; line !== "stopped"; line = await service.line());
  });

  test(`${site.title}: a method that leaves a stream argument during a step ends that stream`, async () => {
    const target = site.newTarget();
    const service = await site.start("typed_checks.ts", target, {});
    using remote = connect<Checks>(target, { timeout: 30_000 });
    // An iterator whose pending step nothing but `return` ends, and not even that.
    let returned = 0;
    const silent = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<number>>(() => {}),
        return: (value?: unknown) => {
          returned += 1;
          return Promise.resolve({ done: true as const, value });
        },
      }),
    };
    assertEquals(await remote.leave(silent as AsyncIterable<number>, "return"), [
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    assertEquals(returned, 1);
    let cancelled = 0;
    const readable = new ReadableStream<number>({
      pull: () => new Promise(() => {}),
      cancel: () => void (cancelled += 1),
    }, { highWaterMark: 0 });
    assertEquals<unknown>(await remote.leave(readable, "cancel"), { done: true, value: undefined });
    await eventually(() => cancelled === 1);
    service.send("stop");
    await service.expect("stopped");
  });
}

/** What is done to a generator. */
type Command = readonly ["next" | "return" | "throw", unknown] | readonly ["await"];

/** Generators with all kinds of behaviour. */
const sources = {
  async *plain(): AsyncGenerator<unknown, unknown, unknown> {
    let heard: unknown = "begins";
    for (let count = 0; count < 4; count++) heard = yield `${count} ${heard}`;
    return "end";
  },
  async *slow(): AsyncGenerator<unknown, unknown, unknown> {
    for (let count = 0; count < 3; count++) {
      await new Promise((resolve) => setTimeout(resolve, count));
      yield count;
    }
    return "end";
  },
  async *stubborn(): AsyncGenerator<unknown, unknown, unknown> {
    for (let count = 0; count < 6; count++) {
      try {
        yield `try ${count}`;
      } catch (error) {
        yield `caught ${(error as Error).message ?? error}`;
      } finally {
        if (count === 1) yield "finally";
      }
    }
    return "end";
  },
  async *failing(): AsyncGenerator<unknown, unknown, unknown> {
    yield 1;
    throw new RangeError("of its own");
  },
  async *replacing(): AsyncGenerator<unknown, unknown, unknown> {
    try {
      yield 1;
      yield 2;
    } finally {
      // deno-lint-ignore no-unsafe-finally -- what a generator may do
      return "instead";
    }
  },
} as const;

/** Numbers that are the same in each run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return ((state >>> 3) % below + below) % below;
  };
}

function makeCommands(random: (below: number) => number): Command[] {
  return Array.from({ length: 1 + random(8) }, (_, index): Command => {
    switch (random(8)) {
      case 0:
        return ["return", `returned ${index}`];
      case 1:
        return ["throw", new Error(`thrown ${index}`)];
      case 2:
        return ["return", `promised ${index}`];
      case 3:
        return ["await"];
      default:
        return ["next", `given ${index}`];
    }
  });
}

/** Runs the commands; returns the outcome of each step, and the order in which they settled. */
async function play(
  generator: AsyncGenerator<unknown, unknown, unknown>,
  commands: readonly Command[],
): Promise<unknown[]> {
  const settled: string[] = [];
  const outcomes: Promise<unknown>[] = [];
  for (const command of commands) {
    if (command[0] === "await") {
      await outcomes.at(-1);
      continue;
    }
    const [how, value] = command;
    const isPromised = typeof value === "string" && value.startsWith("promised");
    const given = isPromised
      ? new Promise((resolve) => setTimeout(() => resolve(value), 1))
      : value;
    const index = outcomes.length;
    const step = how === "next"
      ? generator.next(given)
      : how === "return"
      ? generator.return(given)
      : generator.throw(given);
    outcomes.push(step.then((result) => {
      settled.push(`${index}`);
      return { ...result };
    }, (error) => {
      settled.push(`${index}`);
      const { name, message, remoteName, remoteMessage } = error as Error & {
        remoteName?: string;
        remoteMessage?: string;
      };
      return { error: [remoteName ?? name, remoteMessage ?? message] };
    }));
  }
  return [await Promise.all(outcomes), settled];
}

for (const transport of transports) {
  test(`${transport.title}: any sequence of steps ends as with a local generator`, async () => {
    const target = transport.newTarget();
    const api = {
      ...sources,
      async *relay(
        items: AsyncGenerator<unknown, unknown, unknown>,
      ): AsyncGenerator<unknown, unknown, unknown> {
        return yield* items;
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const random = numbersFrom(14);
    const names = Object.keys(sources) as (keyof typeof sources)[];
    for (let round = 0; round < 400; round++) {
      const name = names[random(names.length)]!;
      const commands = makeCommands(random);
      const what = `${name} ${JSON.stringify(commands)}`;
      const expected = await play(sources[name](), commands);
      assertEquals(await play(remote[name](), commands), expected, what);
      // From a stream that the call has resolved to.
      const stream = await (remote[name]() as unknown as Promise<ReturnType<typeof remote.plain>>);
      assertEquals(await play(stream, commands), expected, `resolved: ${what}`);
    }
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: steps beyond the end of a stream are done`, async () => {
    const target = transport.newTarget();
    const api = {
      *numbers(): Generator<number, string> {
        yield 1;
        return "end";
      },
      *promises(): Generator<unknown> {
        yield new Promise((resolve) => setTimeout(() => resolve("slow"), 5));
        yield "quick";
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for (let round = 0; round < 20; round++) {
      const stream = remote.numbers();
      const steps = Array.from({ length: 5 }, () => stream.next());
      assertEquals<unknown>(await Promise.all(steps), [
        { done: false, value: 1 },
        { done: true, value: "end" },
        { done: true, value: undefined },
        { done: true, value: undefined },
        { done: true, value: undefined },
      ]);
    }
    const slow = remote.promises();
    const [first, left] = [slow.next(), slow.return(undefined)];
    assertEquals<unknown>([await first, await left], [
      { done: false, value: "slow" },
      { done: true, value: undefined },
    ]);
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: long and short values passed to next() keep their order`, async () => {
    const target = transport.newTarget();
    const heard: number[] = [];
    const api = {
      async *listen(): AsyncGenerator<number, void, Uint8Array | number> {
        for (let count = 0;; count++) {
          const value = yield count;
          heard.push(typeof value === "number" ? value : value.byteLength);
        }
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const stream = await (remote.listen() as unknown as Promise<ReturnType<typeof remote.listen>>);
    await stream.next(0);
    const given: (Uint8Array | number)[] = Array.from(
      { length: 60 },
      (_, index) => index % 3 === 0 ? new Uint8Array(2_000 + index) : index,
    );
    await Promise.all(given.map((value) => stream.next(value)));
    assertEquals(heard, given.map((value) => typeof value === "number" ? value : value.byteLength));
    // What is too long for a step is refused, and the stream goes on.
    let code = "";
    try {
      await stream.next(new Uint8Array(2_000_000));
    } catch (error) {
      code = (error as { code: string }).code;
    }
    assertEquals(code, "TOO_LARGE");
    assertEquals((await stream.next(1)).done, false);
    await stream.return();
    void service;
  });
}

for (const transport of transports) {
  test(`${transport.title}: leaving a stream aborts the signal of its generator once`, async () => {
    const target = transport.newTarget();
    let aborts = 0;
    const signals: AbortSignal[] = [];
    const api = {
      async *numbers(): AsyncGenerator<number> {
        const { signal } = callContext()!;
        signals.push(signal);
        signal.addEventListener("abort", () => aborts += 1);
        for (let number = 0;; number++) yield number;
      },
    };
    await using service = serve(target, api);
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    for await (const number of remote.numbers()) if (number === 2) break;
    await eventually(() => aborts === 1);
    assert(signals[0]!.aborted);
    const thrown = remote.numbers();
    await thrown.next();
    try {
      await thrown.throw(new Error("into it"));
    } catch {
      // As it should.
    }
    assertEquals(aborts, 1);
    void service;
  });
}
