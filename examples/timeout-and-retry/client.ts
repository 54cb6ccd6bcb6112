/**
 * Does twelve jobs; asks again when there is no answer in time.
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
 * A call that timed out is cancelled: if no server had taken it none will. But one may have done the
 * work and not told in time, so retry only what may be done twice.
 */
async function requestWithRetry(job: string, attempts: number): Promise<string> {
  // Longer each time: when the server is slow because it is busy, asking more often makes it worse.
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
