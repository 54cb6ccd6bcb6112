/**
 * One idempotent call that kills its worker, among a thousand others: it costs two workers and no other call.
 *
 * @module
 */
import { check, codeOf, type Stage, until } from "./stage.ts";

export async function poison(stage: Stage): Promise<string> {
  const calls = 1_000;
  const pool = stage.pool({ min: 4, max: 4, idempotent: ["poison"] });
  let exits = 0;
  pool.onWorker(({ kind }) => void (kind === "exited" && (exits += 1)));
  await pool.ready;
  const at = stage.random.between(100, 900);
  let code = "none";
  await Promise.all(Array.from({ length: calls }, async (_, id) => {
    if (id === at) {
      code = await pool.call.poison(id).then(() => "a result", codeOf);
      return;
    }
    const result = await pool.call.once(id, id % 5);
    check(result === id, `call ${id} has the result of ${result}`);
  }));
  check(code === "SERVER_DIED", `the call that kills ended with ${code}`);
  check(stage.traces().get(at) === 2, `it was delivered ${stage.traces().get(at)} times`);
  await until(
    () => pool.workers().filter(({ state }) => state === "idle").length === 4,
    "four workers are idle",
  );
  check(exits === 2, `${exits} workers have gone`);
  const killed = exits;
  await pool.close();
  return `${calls - 1} calls answered beside one that killed ${killed} workers`;
}
