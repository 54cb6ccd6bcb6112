/** Random operations in one process, compared with a plain model; see model/. */
import fc from "fast-check";
import { rmSync } from "node:fs";
import { check, patience, replayPath } from "./check.ts";
import { commands, sizes } from "./commands.ts";
import { RealActor } from "./real.ts";
import { runSession } from "./session.ts";
import { newTarget, test } from "../support/harness.ts";

test("a channel does what its model does", async () => {
  const target = newTarget();
  await check(fc.asyncProperty(sizes, commands(60, replayPath), async (sizes, commands) => {
    const actor = new RealActor(target);
    try {
      await runSession(target, sizes, commands, actor);
    } finally {
      actor.close();
      rmSync(target, { force: true });
    }
  }));
}, { timeout: patience });
