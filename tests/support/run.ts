/**
 * Commands that run to their end.
 *
 * @module
 */
import { checkout, toolCommand } from "../../scripts/tools.ts";
import { startProcess } from "../../src/runtime/processes.ts";
import { atEnd, folder, runtime } from "./harness.ts";

/** How a command ended, and what it wrote. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a file of the checkout in this runtime, with channels in the test's folder. */
export function runFile(
  file: string,
  args: readonly string[],
  { input = "", env = {} }: { input?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const command = toolCommand(runtime, `${checkout}/${file}`, args);
  const child = startProcess(command, {
    cwd: checkout,
    env: { TANDEM_DIR: folder(), NO_COLOR: "1", ...env },
  });
  atEnd(() => Promise.resolve(void child.kill("SIGKILL")));
  let stdout = "";
  let stderr = "";
  child.stdout!.setEncoding("utf8").on("data", (text: string) => stdout += text);
  child.stderr!.setEncoding("utf8").on("data", (text: string) => stderr += text);
  // It may end without reading all of it.
  child.stdin!.on("error", () => {});
  child.stdin!.end(input);
  return new Promise((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
