/**
 * Runs a NATS server during a scenario.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Stage } from "./stage.ts";

/** The path of the server. */
export const natsServer: string = fileURLToPath(
  new URL("../../.tools/bench/bin/nats-server", import.meta.url),
);

/** Whether `scripts/setup --bench` has installed it. */
export const hasNats: boolean = existsSync(natsServer);

/** Ends the server when the pipe from the conductor closes, also if the conductor is killed. */
const guard = '"$0" "$@" & read -r _; kill $!; wait';

/** Starts the server on a free port, with these arguments, too. Returns its address. */
export async function startNats(stage: Stage, ...more: readonly string[]): Promise<string> {
  const folder = stage.path("nats");
  mkdirSync(folder);
  const store = stage.path("jetstream");
  const args = ["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", folder];
  args.push("--store_dir", store, ...more);
  const server = spawn("sh", ["-c", guard, natsServer, ...args], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  stage.defer(async () => {
    server.stdin.end();
    await ended;
  });
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const [file] = readdirSync(folder);
    const text = file ? readFileSync(join(folder, file), "utf8") : "";
    // The server creates the file before it writes the text.
    if (text.endsWith("}")) return (JSON.parse(text) as { nats: [string] }).nats[0];
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("nats-server did not start within 10 s");
}
