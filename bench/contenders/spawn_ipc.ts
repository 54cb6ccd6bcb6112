/**
 * The channel that `Bun.spawn` opens to a child process. The address is the serialization: `advanced` copies
 * structures, `json` sends text.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Contender } from "./contender.ts";
import { Queue } from "./frames.ts";

type Serialization = "advanced" | "json";

interface Subprocess {
  send(message: unknown): void;
  kill(): void;
}

interface BunGlobal {
  spawn(options: {
    cmd: readonly string[];
    serialization: Serialization;
    ipc(message: unknown): void;
    stdio: readonly ["ignore", "ignore", "inherit"];
  }): Subprocess;
}

export const contender: Contender = {
  async connect(address) {
    const { Bun } = globalThis as unknown as { Bun: BunGlobal };
    const waiting = new Queue<(answer: unknown) => void>();
    const answer = (): Promise<unknown> => new Promise((resolve) => waiting.add(resolve));
    const ready = answer();
    const module = fileURLToPath(new URL("../programs/ipc_child.ts", import.meta.url));
    const serialization = address as Serialization;
    const child = Bun.spawn({
      cmd: [process.execPath, module],
      serialization,
      ipc: (message) => waiting.take()(message),
      stdio: ["ignore", "ignore", "inherit"],
    });
    await ready;
    if (serialization === "advanced") {
      return {
        call: (payload) => {
          child.send(payload);
          return answer() as Promise<Uint8Array>;
        },
      };
    }
    // JSON has no bytes.
    return {
      call: async (payload) => {
        child.send(Buffer.from(payload.buffer).toString("base64"));
        return Buffer.from(await answer() as string, "base64");
      },
    };
  },
};
