/**
 * A service, or a client, of `hosts.ts`.
 *
 *     actor.ts service TARGET
 *     actor.ts client TARGET SEED
 *     actor.ts witness TARGET SEED      a client whose answers may be wrong
 *
 * A client calls without a pause, eight calls at once, and judges each answer. Both end in good order
 * on SIGTERM, a client after it has written how many calls succeeded and how many a fault hit. A wrong
 * answer or an unhandled rejection is written at once and ends the process.
 *
 * @module
 */
import process from "node:process";
import { connect, type Remote, serve } from "../../../mod.ts";
import { args, say, tell } from "../../fixtures/lib.ts";
import { isPattern, pattern } from "../../support/pattern.ts";
import { type Api, api, isFault, sumOf } from "./api.ts";

const lanes = 8;

function fail(what: string, error: unknown): never {
  console.error(`${what}: ${error instanceof Error ? error.stack : String(error)}`);
  process.exit(70);
}

process.on("unhandledRejection", (error) => fail("unhandled rejection", error));
process.on("uncaughtException", (error) => fail("uncaught exception", error));

const stopped = new Promise<void>((resolve) => process.on("SIGTERM", () => resolve()));
const [role, target, seed = "0"] = args as [string, string, string?];
if (role === "service") await runService();
else await runClient(Number(seed), role === "client" ? 60_000 : 1_000);
process.exit(0);

async function runService(): Promise<void> {
  const service = serve(target, api, { concurrency: 8, maxDeliveries: 3 });
  say("ready");
  await Promise.race([stopped, service.finished]);
  await service.close();
  await service.finished;
}

async function runClient(seed: number, timeout: number): Promise<void> {
  // What is scribbled over may lose an item of a stream, too.
  const remote = connect<Api>(target, { timeout, itemTimeout: timeout });
  const counts = { done: 0, hit: 0 };
  let isOver = false;
  void stopped.then(() => isOver = true);
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
  say("ready");
  await Promise.all(Array.from({ length: lanes }, async () => {
    while (!isOver) {
      const kind = below(8);
      try {
        const problem = await call(remote, kind, below);
        if (problem !== null && role === "client") fail(`wrong answer of kind ${kind}`, problem);
        counts.done += 1;
      } catch (error) {
        const hasCode = (error as { code?: string }).code !== undefined;
        if (role === "client" ? !isFault(error) : !hasCode) fail(`kind ${kind}`, error);
        counts.hit += 1;
      }
    }
  }));
  remote[Symbol.dispose]();
  tell(counts);
}

/** Makes one call. Returns its fault, or null. */
async function call(
  remote: Remote<Api>,
  kind: number,
  below: (limit: number) => number,
): Promise<string | null> {
  const number = below(1_000);
  switch (kind) {
    case 0:
      return await remote.add(number, 1) === number + 1 ? null : "add";
    case 1:
      return await remote.addLater(number, 1) === number + 1 ? null : "addLater";
    case 2: {
      const bytes = pattern(below(3_000_000), number);
      const answer = await remote.echo(bytes);
      return isPattern(answer, bytes.byteLength, number) ? null : "echo";
    }
    case 3: {
      const bytes = pattern(below(200_000), number);
      return await remote.total(bytes) === sumOf(bytes) ? null : "total";
    }
    case 4: {
      const [byteLength, count] = [below(100_000), below(10)];
      let index = 0;
      for await (const piece of remote.pieces(byteLength, number, count)) {
        if (!isPattern(piece, byteLength, number + index)) return `piece ${index}`;
        index += 1;
      }
      return index === count ? null : `${index} pieces, not ${count}`;
    }
    case 5:
      return await remote.sum(upTo(number % 20)) === triangle(number % 20) ? null : "sum";
    case 6: {
      let next = 0;
      for await (const doubled of remote.double(upTo(1_000))) {
        if (doubled !== next * 2) return `${doubled} is not the double of ${next}`;
        next += 1;
        // Leaves the stream in its middle.
        if (next > number % 10) break;
      }
      return null;
    }
    default: {
      // Forgets the stream in its middle.
      const stream = remote.pieces(10, number, 3);
      const { value } = await stream.next();
      return isPattern(value as Uint8Array, 10, number) ? null : "first piece";
    }
  }
}

async function* upTo(limit: number): AsyncGenerator<number> {
  for (let number = 0; number < limit; number++) yield number;
}

function triangle(limit: number): number {
  return limit * (limit - 1) / 2;
}
