/**
 * Sends twelve jobs, and repeats a call without an answer in time.
 *
 * @module
 */
import { Client, TandemError } from "@tandem/ipc";

using client = await Client.connect("example-timeout-and-retry", { timeout: 10_000 });

let timeouts = 0;
const jobs = Array.from({ length: 12 }, (_, index) => String(index + 1));
const answers = await Promise.all(jobs.map((job) => requestWithRetry(job, 6)));
console.log(`${answers.length} jobs, the last answer: ${answers.at(-1)}`);
console.log(`time-outs: ${timeouts}`);
console.log(`calls left over: ${client.pending}`);
client.post("quit");

/**
 * A call that timed out is cancelled, so no server takes it later. But a server may have done the work
 * without answering in time, so retry only work that may be done twice.
 */
async function requestWithRetry(job: string, attempts: number): Promise<string> {
  // The timeout grows, because more frequent calls would make a busy server slower.
  for (let timeout = 100, attempt = 1;; timeout *= 2, attempt++) {
    try {
      return new TextDecoder().decode(await client.request(job, { timeout }));
    } catch (error) {
      const isTimeout = error instanceof TandemError && error.code === "TIMEOUT";
      if (!isTimeout || attempt === attempts) throw error;
      timeouts += 1;
    }
  }
}
