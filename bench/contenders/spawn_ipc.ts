/**
 * The channel that `Bun.spawn` opens to a child process. The address is the serialization.
 *
 * @module
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Contender } from "./contender.ts";
import { connectIpc, type IpcChild, type Serialization } from "./ipc.ts";

interface BunGlobal {
  spawn(options: {
    cmd: readonly string[];
    serialization: Serialization;
    ipc(message: unknown): void;
    stdio: readonly ["ignore", "ignore", "inherit"];
  }): IpcChild;
}

const module = fileURLToPath(new URL("../programs/ipc_child.ts", import.meta.url));

export const contender: Contender = {
  connect(address) {
    const { Bun } = globalThis as unknown as { Bun: BunGlobal };
    const serialization = address as Serialization;
    return connectIpc(serialization, (receive) =>
      Bun.spawn({
        cmd: [process.execPath, module],
        serialization,
        ipc: receive,
        stdio: ["ignore", "ignore", "inherit"],
      }));
  },
};
