/**
 * Uses the cache with blocking calls: the fastest form, for a script with nothing else to do.
 *
 * @module
 */
import { Client } from "@tandem/ipc";
import type { Command } from "./protocol.ts";

using client = await Client.connect("example-cache-service", { timeout: 10_000 });

ask({ op: "set", key: "user:1", value: { name: "Ada", born: 1815 } });
ask({ op: "set", key: "user:2", value: { name: "Grace", born: 1906 } });
console.log("get user:1 =", JSON.stringify(ask({ op: "get", key: "user:1" })));
console.log("get user:3 =", ask({ op: "get", key: "user:3" }));

for (let visit = 0; visit < 1000; visit++) ask({ op: "increment", key: "visits" });
console.log("visits =", ask({ op: "get", key: "visits" }));

console.log("delete user:2 =", ask({ op: "delete", key: "user:2" }));
console.log("keys =", JSON.stringify(ask({ op: "keys" })));

// The cache keeps only the newest.
for (let index = 0; index < 200; index++) ask({ op: "set", key: `page:${index}`, value: index });
const keys = ask({ op: "keys" }) as string[];
console.log(`${keys.length} keys, from ${keys[0]} to ${keys.at(-1)}`);
client.post(JSON.stringify({ op: "quit" } satisfies Command));

function ask(command: Command): unknown {
  const answer = client.requestSync(JSON.stringify(command), { timeout: 5_000 });
  return JSON.parse(new TextDecoder().decode(answer));
}
