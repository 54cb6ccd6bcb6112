/**
 * Keeps a log file, and lets clients follow it.
 *
 * @module
 */
import { callContext, serve } from "@tandem/ipc";
import { appendFile, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const stopped = Promise.withResolvers<void>();
const folder = await mkdtemp(join(tmpdir(), "example-log-tail-"));
const file = join(folder, "app.log");
await appendFile(file, "");

const api = {
  async write(line: string): Promise<void> {
    await appendFile(file, `${line}\n`);
  },

  /** Yields the last lines, and then every new line. */
  async *tail(lines: number): AsyncGenerator<string, void, undefined> {
    // Aborts when the reader stops or dies, also while this generator waits.
    const { signal } = callContext()!;
    await using log = await open(file, "r");
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(64 * 1024);
    let [text, isFirst, looks] = ["", true, 0];
    while (!signal.aborted) {
      const { bytesRead } = await log.read(buffer, 0, buffer.length);
      if (bytesRead > 0) {
        text += decoder.decode(buffer.subarray(0, bytesRead), { stream: true });
        looks = 0;
        continue;
      }
      const complete = text.split("\n");
      text = complete.pop()!;
      yield* isFirst ? complete.slice(-lines) : complete;
      isFirst = false;
      // Short pauses at first, then longer ones.
      await pause(Math.min(100, 5 * 2 ** looks++), signal);
    }
  },

  quit: (): void => stopped.resolve(),
};

/** The interface, for clients. */
export type LogService = typeof api;

{
  await using service = serve("example-log-tail", api);
  await stopped.promise;
  service.unlink();
}
await rm(folder, { recursive: true });

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
