/**
 * Sends ten jobs and waits for them, sends three more, and then sends SIGTERM to the server.
 *
 * @module
 */
import process from "node:process";
import { Client, Server } from "@tandem/ipc";

const target = "example-graceful-shutdown";
using client = await Client.connect(target, { timeout: 10_000 });

const pid = Number(await ask("pid"));
const before = await Promise.all(Array.from({ length: 10 }, (_, index) => ask(`job ${index}`)));
console.log(`${before.length} jobs done`);

const rest = Array.from({ length: 3 }, (_, index) => ask(`late job ${index}`));
process.kill(pid, "SIGTERM");
const after = await Promise.all(rest);
console.log(`${after.length} jobs done by a server that was told to end`);

// No process needs the channel any more.
Server.unlink(target);

async function ask(job: string): Promise<string> {
  return new TextDecoder().decode(await client.request(job));
}
