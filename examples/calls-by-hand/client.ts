/**
 * Calls the functions of the server like local ones: the compiler checks names, arguments and results, and
 * errors arrive as errors.
 *
 * @module
 */
import { Client, RemoteError } from "@tandem/ipc";
import type { Api } from "./api.ts";

using client = await Client.connect("example-calls-by-hand", { timeout: 10_000 });

async function call<Name extends keyof Api>(
  name: Name,
  ...args: Parameters<Api[Name]>
): Promise<ReturnType<Api[Name]>> {
  const answer = await client.request(JSON.stringify([name, ...args]), { timeout: 5_000 });
  return JSON.parse(new TextDecoder().decode(answer));
}

console.log("add(2, 3) =", await call("add", 2, 3));
console.log("reverse(...) =", await call("reverse", "desserts"));
console.log("longest(...) =", await call("longest", ["a", "three", "of"]));
// Several calls can wait at the same time.
console.log(
  "together:",
  ...await Promise.all([1, 2, 4].map((divisor) => call("divide", 8, divisor))),
);

try {
  await call("divide", 1, 0);
} catch (error) {
  if (!(error instanceof RemoteError)) throw error;
  console.log(`divide(1, 0) threw a ${error.remoteName}: ${error.remoteMessage}`);
}
try {
  // A client without TypeScript, or with an older version of the interface, may send any name.
  await call("toString" as keyof Api, ...[] as never);
} catch (error) {
  console.log(`toString() failed: ${(error as Error).message}`);
}

client.post(JSON.stringify(["quit"]));
