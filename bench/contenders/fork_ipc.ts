/**
 * The channel that `fork` of `node:child_process` opens to a child process.
 *
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Contender } from "./contender.ts";
import { Queue } from "./frames.ts";

export const contender: Contender = {
  async connect() {
    const waiting = new Queue<(answer: unknown) => void>();
    const answer = (): Promise<unknown> => new Promise((resolve) => waiting.add(resolve));
    const ready = answer();
    const child: ChildProcess = fork(
      fileURLToPath(new URL("../programs/ipc_child.ts", import.meta.url)),
      { serialization: "advanced", stdio: ["ignore", "ignore", "inherit", "ipc"] },
    );
    child.on("message", (message) => waiting.take()(message));
    process.once("exit", () => child.kill("SIGKILL"));
    await ready;
    return {
      call: (payload) => {
        child.send(payload);
        return answer() as Promise<Uint8Array>;
      },
    };
  },
};
