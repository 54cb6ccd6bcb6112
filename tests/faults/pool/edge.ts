/**
 * Calls whose work takes their timeout, give or take 2 ms, between calls that have time enough. Whichever way each race
 * goes, the others are answered: a worker is killed for the call that it was to be killed for, or not at all.
 *
 * @module
 */
import { withOptions } from "../../../mod.ts";
import { check, codeOf, type Stage, Tally } from "./stage.ts";

const timeout = 20;
const callers = 8;

export async function edge(stage: Stage): Promise<string> {
  const patient = await race(stage, stage.size(10_000, 800), 1_000);
  const strict = await race(stage, stage.size(10_000, 300), 1);
  return `grace 1,000 ms: ${patient}; grace 1 ms: ${strict}`;
}

async function race(stage: Stage, calls: number, abortGrace: number): Promise<string> {
  const pool = stage.pool({ min: 4, max: 4, abortGrace });
  let exits = 0;
  const reasons = new Tally();
  pool.onWorker(({ exit }) => {
    if (!exit) return;
    exits += 1;
    reasons.add(exit.reason);
  });
  await pool.ready;
  const watch = watchStandstill();
  const hasty = withOptions(pool.call, { timeout });
  const tally = new Tally();
  let made = 0;
  await Promise.all(Array.from({ length: callers }, async () => {
    while (made < calls) {
      const id = made++;
      const work = timeout + stage.random.between(-20, 20) / 10;
      const method = stage.random.chance(0.5) ? "once" : "busy";
      const other = pool.call.once(id, 0);
      try {
        check(await hasty[method](id, work) === id, `call ${id} has a wrong result`);
        tally.add("done");
      } catch (error) {
        tally.add(endOf(id, error));
      }
      check(await other === id, `the call beside ${id} has a wrong result`);
    }
  }));
  const standstill = watch.end();
  if (abortGrace >= 1_000 && exits > 0 && standstill > abortGrace / 2) {
    // A worker that stands still for the whole grace cannot obey, and may be killed before it goes on.
    await pool.close();
    return await race(stage, calls, abortGrace);
  }
  check(abortGrace < 1_000 || exits === 0, `${exits} workers were killed: ${reasons}`);
  check(reasons.of("timeout") === exits, `workers have gone: ${reasons}`);
  const killed = exits;
  await pool.close();
  return `${made} races (${tally}), as many calls beside them, none harmed, ${killed} workers killed`;
}

/** Finds out for how long this process stands still at most, in milliseconds: the others do so with the machine, too. */
function watchStandstill(): { end(): number } {
  let longest = 0;
  let last = performance.now();
  const look = () => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  };
  const timer = setInterval(look, 10);
  return {
    end() {
      look();
      clearInterval(timer);
      return longest;
    },
  };
}

/** A client that has no processor when its time is over may hear of the end of its worker first. */
function endOf(id: number, error: unknown): string {
  const code = codeOf(error);
  const { cause } = error as { cause?: { reason?: string } };
  const isLate = code === "SERVER_DIED" && cause?.reason === "timeout";
  check(
    code === "TIMEOUT" || isLate,
    `call ${id} ended with ${code}: ${(error as Error).message}`,
  );
  return isLate ? "TIMEOUT, heard late" : code;
}
