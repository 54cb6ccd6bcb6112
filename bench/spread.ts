/**
 * Measures how the calls of a target spread over two services: bursts of jobs for each pair of runtimes, and
 * the rate of trivial calls with one and with two services.
 *
 *     bun bench/spread.ts [--check] [--bursts N]
 *
 * @module
 */
import { judge, parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { type Runtime, runtimes } from "./lib/runtimes.ts";
import { fixed, summarize, whole } from "./lib/stats.ts";
import { Target } from "./lib/target.ts";
import type { Burst, Method, Task } from "./spread/client.ts";

const jobs = 10;
const jobMs = 100;
const sliceMs = 50;

/** How the services work on the jobs. */
const kinds: readonly { name: string; method: Method; concurrency: string }[] = [
  { name: "blocking", method: "block", concurrency: "" },
  { name: "waiting, concurrency 1", method: "wait", concurrency: "1" },
  { name: "waiting", method: "wait", concurrency: "" },
];

if (import.meta.main) await main();

async function main(): Promise<void> {
  const options = parseOptions("bursts", 20);
  const bars = [];
  const splits: Record<string, unknown> = {};
  for (const client of runtimes) {
    for (const [index, first] of runtimes.entries()) {
      for (const second of runtimes.slice(index)) {
        for (const { name, method, concurrency } of kinds) {
          const all = await Promise.all(
            (["typed", "raw"] as const).map(async (form) => {
              await using stage = await Stage.start(client, [first, second], concurrency);
              // Not both forms at once: there are two processors.
              return [
                form,
                await turns.run(() =>
                  stage.run<Burst[]>({ form, method, jobs, ms: jobMs, bursts: options.count })
                ),
              ] as const;
            }),
          );
          for (const [form, bursts] of all) {
            const off = summarize(
              bursts.map(({ counts }) => Math.abs((counts[1] ?? 0) - jobs / 2)),
            );
            const took = summarize(bursts.map(({ ms }) => ms));
            const what = `${client} → ${first}, ${second}: ${name}, ${form}`;
            splits[what] = {
              "off, median": fixed(off.median, 1),
              "off, worst": fixed(off.max, 0),
              "ms, median": whole(took.median),
              "ms, worst": whole(took.max),
            };
            bars.push({ what: `${what}: ${fixed(off.median, 1)} off ≤ 1`, met: off.median <= 1 });
          }
        }
      }
    }
  }
  console.log(`${jobs} jobs of ${jobMs} ms on two services, ${options.count} bursts`);
  console.table(splits);
  const rates: Record<string, unknown> = {};
  for (const runtime of runtimes) {
    for (const services of [1, 2]) {
      await using stage = await Stage.start(runtime, Array(services).fill(runtime), "");
      for (const form of ["typed", "raw"] as const) {
        for (const method of ["echo", "echoLater"] as const) {
          for (const outstanding of [1, 64]) {
            const found: number[] = [];
            for (let slice = -3; slice < options.count; slice++) {
              const rate = await stage.run<number>({ form, method, outstanding, sliceMs });
              if (slice >= 0) found.push(rate);
            }
            const { median, q1, q3 } = summarize(found);
            rates[
              `${runtime}, ${services} services, ${form} ${method}, ${outstanding} outstanding`
            ] = {
              "calls/s, median": whole(median),
              q1: whole(q1),
              q3: whole(q3),
            };
          }
        }
      }
    }
  }
  console.log(`trivial calls, slices of ${sliceMs} ms`);
  console.table(rates);
  judge(bars, options);
}

/** Runs one thing after another. */
const turns = {
  last: Promise.resolve() as Promise<unknown>,
  run<T>(body: () => Promise<T>): Promise<T> {
    const next = this.last.then(body);
    this.last = next.catch(() => {});
    return next;
  },
};

/** The processes of one target. */
class Stage implements AsyncDisposable {
  readonly #resources: AsyncDisposableStack = new AsyncDisposableStack();
  #client: Child | null = null;

  static async start(
    client: Runtime,
    servers: readonly Runtime[],
    concurrency: string,
  ): Promise<Stage> {
    const stage = new Stage();
    const resources = stage.#resources;
    const names = ["typed", "raw"].map((purpose) => resources.use(new Target(purpose)).name);
    for (const [index, runtime] of servers.entries()) {
      const args = [...names, `${index + 1}`, concurrency];
      const server = Child.of(runtime, new URL("spread/server.ts", import.meta.url), args);
      resources.use(server);
      await server.receive();
    }
    stage.#client = resources.use(
      Child.of(client, new URL("spread/client.ts", import.meta.url), names),
    );
    await stage.#client.receive();
    return stage;
  }

  async run<Result>(task: Task): Promise<Result> {
    this.#client!.send(task);
    return await this.#client!.receive<Result>();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
