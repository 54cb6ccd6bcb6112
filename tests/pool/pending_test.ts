/** What keeps the process of a pool alive. */
import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { toolCommand } from "../../scripts/tools.ts";
import { runtimes, startProgram, test } from "../support/harness.ts";

const fixture = fileURLToPath(new URL("../fixtures/pool/pending.ts", import.meta.url));

for (const runtime of runtimes) {
  test(`${runtime}: pending calls keep the process alive, also when their worker dies`, async () => {
    const { program, args } = toolCommand(runtime, fixture, [], ["--allow-all"]);
    const child = startProgram(`${runtime} pending.ts`, [program, ...args]);
    const lines = ["answer 1", "ended SERVER_DIED,70", "answer 2", "closed"];
    for (const line of lines) assertEquals(await child.line(), line);
    await child.ended();
  });
}
