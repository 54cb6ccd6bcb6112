/**
 * The channel that `fork` of `node:child_process` opens to a child process. The address is the serialization.
 *
 * @module
 */
import { fork } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Contender } from "./contender.ts";
import { connectIpc, type Serialization } from "./ipc.ts";

const module = fileURLToPath(new URL("../programs/ipc_child.ts", import.meta.url));

export const contender: Contender = {
  connect(address) {
    const serialization = address as Serialization;
    return connectIpc(serialization, (receive) => {
      const child = fork(module, { serialization, stdio: ["ignore", "ignore", "inherit", "ipc"] });
      child.on("message", receive);
      process.once("exit", () => child.kill("SIGKILL"));
      return child;
    });
  },
};
