/**
 * A supervisor is killed at random moments, from its start to its end, while clients in other processes call. All its
 * workers are gone at once, and the next supervisor serves the same clients on the same target.
 *
 * @module
 */
import { check, pause, type Stage, until, workerFile } from "./stage.ts";
import { programCommand, type Runtime, Talker } from "../talker.ts";
import type { Load } from "../../fixtures/pool/caller.ts";

const codes = new Set(["SERVER_DIED", "TIMEOUT", "NO_SERVER", "BUSY", "CANCELLED", "NOT_FOUND"]);

export async function orphans(stage: Stage): Promise<string> {
  const rounds = stage.size(200, 8);
  const target = `${stage.folder}/orphans.tandem`;
  const runtimes = stage.plan.runtimes;
  const clients = await Promise.all(runtimes.map((runtime) => client(runtime, target)));
  let slowest = 0;
  for (let round = 0; round < rounds; round++) {
    const runtime = stage.random.pick(runtimes);
    slowest = Math.max(slowest, await orphan(stage, runtime, target));
  }
  const last = await supervisor(stage, stage.random.pick(runtimes), target);
  check(await last.line(watch("the last supervisor")) === "ready", "it is not ready");
  let done = 0;
  let failed = 0;
  for (const client of clients) {
    client.send(JSON.stringify(["call", "pid"]));
    const answer = JSON.parse(await client.line(watch("an answer"))) as { result?: number };
    check(typeof answer.result === "number", `a client got ${JSON.stringify(answer)}`);
    client.send(JSON.stringify(["stop"]));
    const load = JSON.parse(await client.line(watch("the end of the load"))) as Load;
    const strange = load.failures.find(({ code }) => !codes.has(code ?? ""));
    check(strange === undefined, `a call ended with ${JSON.stringify(strange)}`);
    done += load.done;
    failed += load.failures.length;
    client.kill();
    await client.closed;
  }
  check(done > 0, "no call was answered");
  last.send(JSON.stringify(["close"]));
  check(await last.line(watch("the close")) === '"closed"', "the last pool is not closed");
  last.kill();
  await last.closed;
  // A busy machine may take any time.
  const limit = stage.size(1_000, Infinity);
  check(slowest <= limit, `workers outlived their supervisor by ${Math.round(slowest)} ms`);
  return `${rounds} supervisors killed, their workers gone within ${Math.round(slowest)} ms; ` +
    `${done} calls answered, ${failed} ended with a code`;
}

/** Starts a supervisor and kills it. Returns how long its workers outlived it. */
async function orphan(stage: Stage, runtime: Runtime, target: string): Promise<number> {
  const supervising = await supervisor(stage, runtime, target);
  // Mostly while it starts its workers, or shortly after.
  const isEarly = stage.random.chance(0.5);
  if (!isEarly) check(await supervising.line(watch("a supervisor")) === "ready", "it is not ready");
  if (stage.random.chance(0.2)) supervising.send(JSON.stringify(["close"]));
  await pause(stage.random.between(0, isEarly ? 400 : 150));
  supervising.kill();
  await supervising.closed;
  const began = performance.now();
  await until(() => stage.processes().length === 0, "the workers end");
  return performance.now() - began;
}

async function supervisor(stage: Stage, runtime: Runtime, target: string): Promise<Talker> {
  const plan = {
    file: workerFile.href,
    options: stage.options({ target, min: 4, max: 4, stopTimeout: 1_000 }),
    isAwaited: true,
  };
  const program = programCommand(runtime, "tests/fixtures/pool/supervisor.ts");
  const talker = new Talker(`${runtime} supervisor`, [...program, JSON.stringify(plan)]);
  await talker.line(watch("a greeting"));
  return talker;
}

async function client(runtime: Runtime, target: string): Promise<Talker> {
  const program = programCommand(runtime, "tests/fixtures/pool/caller.ts");
  const talker = new Talker(`${runtime} client`, [...program, target, "20000"]);
  await talker.line(watch("a greeting"));
  check(await talker.line(watch("a client")) === "ready", "the client is not ready");
  talker.send(JSON.stringify(["load", 8]));
  check(await talker.line(watch("a load")) === '"loading"', "the client does not call");
  return talker;
}

function watch(what: string): () => void {
  const deadline = Date.now() + 60_000;
  return () => check(Date.now() < deadline, `${what} is waited for in vain`);
}
