/**
 * Writes to the log and follows it for six lines.
 *
 * @module
 */
import { connect } from "@tandem/ipc";
import type { LogService } from "./server.ts";

using log = connect<LogService>("example-log-tail", { timeout: 10_000 });

for (let count = 1; count <= 20; count++) await log.write(`line ${count}`);

let seen = 0;
for await (const line of log.tail(3)) {
  console.log(line);
  seen += 1;
  // Writes a line while the loop follows the log.
  if (seen >= 3 && seen < 6) await log.write(`line ${18 + seen}, while a client follows`);
  if (seen === 6) break;
}
console.log("that is enough");
await log.quit();
