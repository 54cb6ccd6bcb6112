/**
 * Makes a channel without a name and passes it to a child. No other process can find it, and nothing has to
 * be removed.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Server } from "@tandem/ipc";

await using server = Server.anonymous({ slots: 16, name: "example" });

const file = fileURLToPath(new URL("client.ts", import.meta.url));
// The child's descriptor 3 is the channel. It runs in the runtime of this process.
const child = spawn(process.execPath, [...process.execArgv, file], {
  stdio: ["ignore", "inherit", "inherit", server.fd],
});

const stop = new AbortController();
child.once("exit", () => stop.abort());
const ended = once(child, "exit");

await server.serve((request) => `${request.text()}²=${Number(request.text()) ** 2}`, {
  signal: stop.signal,
});

const [code] = await ended;
console.log(`the child ended with code ${code} after ${server.stats().replies} answers`);
