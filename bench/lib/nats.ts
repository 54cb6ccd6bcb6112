/**
 * A NATS server for the length of a scenario.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Stage } from "./stage.ts";

const program = fileURLToPath(new URL("../../.tools/bench/bin/nats-server", import.meta.url));

/** Whether `scripts/setup --bench` has installed it. */
export const hasNats: boolean = existsSync(program);

/** Starts it on a port that is free, and says where it is. */
export async function startNats(stage: Stage): Promise<string> {
  const folder = stage.path("nats");
  mkdirSync(folder);
  const args = ["--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", folder];
  const server = spawn(program, args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const kill = (): void => void server.kill("SIGKILL");
  process.on("exit", kill);
  stage.defer(async () => {
    process.off("exit", kill);
    kill();
    await ended;
  });
  for (;;) {
    const [file] = readdirSync(folder);
    const text = file ? readFileSync(join(folder, file), "utf8") : "";
    // Empty until it is written.
    if (text.endsWith("}")) return (JSON.parse(text) as { nats: [string] }).nats[0];
    if (server.exitCode !== null) throw new Error("nats-server has ended");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
