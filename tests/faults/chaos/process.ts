/**
 * A process of players: one in its main thread, or any number in Workers, which the conductor starts
 * and ends by lines of JSON on stdin.
 *
 *     process.ts PART      plays that part and ends
 *     process.ts workers   obeys {"start": PART} and {"terminate": ID}, and ends with its stdin
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { startThread, type Thread } from "../../support/threads.ts";
import { argument, type Part, play } from "./player.ts";

const text = argument();
if (text === "workers") obeyLines();
else await playAlone(JSON.parse(text));

async function playAlone(part: Part): Promise<void> {
  await play(part);
  process.exit(0);
}

function obeyLines(): void {
  const workers = new Map<number, Thread>();
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const { start, terminate } = JSON.parse(line) as { start?: Part; terminate?: number };
    if (start) workers.set(start.id, startWorker(start, () => workers.delete(start.id)));
    if (terminate !== undefined) {
      workers.get(terminate)?.terminate();
      workers.delete(terminate);
    }
  });
  lines.on("close", () => process.exit(0));
}

function startWorker(part: Part, onEnd: () => void): Thread {
  const worker = startThread(new URL("./worker.ts", import.meta.url), {
    onMessage: () => {
      worker.terminate();
      onEnd();
    },
    onError: (message) => {
      console.error(`the Worker of player ${part.id} failed: ${message}`);
      process.exit(1);
    },
  });
  worker.post(part);
  return worker;
}
