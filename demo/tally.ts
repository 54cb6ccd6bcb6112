/**
 * Adds up the results and prints a summary.
 *
 * @module
 */
import { fixed, summarize, whole } from "../bench/lib/stats.ts";
import type { Stats } from "../mod.ts";
import { type RuntimeName, runtimeNames } from "../src/runtime/processes.ts";
import type { Failed, Report } from "./messages.ts";

/** What a server has done. */
interface Share {
  calls: number;
  bytes: number;
  /** By the runtime of the client. */
  readonly byRuntime: Map<RuntimeName, number>;
}

/** Adds up the reports of the clients. */
export class Tally {
  readonly unread: Failed[] = [];
  readonly failed: Failed[] = [];
  #files = 0;
  #samples = 0;
  #bytes = 0;
  #gzipBytes = 0;
  readonly #latenciesMs: number[] = [];
  /** By the number of the server. */
  readonly #byServer = new Map<number, Share>();

  /** The number of files that are done, with or without success. */
  get settled(): number {
    return this.#files + this.unread.length + this.failed.length;
  }

  add({ runtime, checked, failed }: Report): void {
    for (const failure of failed) (failure.isUnread ? this.unread : this.failed).push(failure);
    for (const { server, bytes, gzipBytes, isSample, latencyMs } of checked) {
      this.#files++;
      if (isSample) this.#samples++;
      this.#bytes += bytes;
      this.#gzipBytes += gzipBytes;
      this.#latenciesMs.push(latencyMs);
      const share = this.#byServer.get(server) ?? { calls: 0, bytes: 0, byRuntime: new Map() };
      share.calls++;
      share.bytes += bytes;
      share.byRuntime.set(runtime, (share.byRuntime.get(runtime) ?? 0) + 1);
      this.#byServer.set(server, share);
    }
  }

  /** Prints the summary; `servers` has the name of each server by number. */
  print(seconds: number, servers: readonly string[], stats: Stats): void {
    const { median, p99 } = summarize(this.#latenciesMs);
    const lines: [string, string][] = [
      [
        "files",
        `${whole(this.#files)}, each SHA-256 checked, the gzip size of ${this.#samples} checked`,
      ],
      ["bytes", `${megabytes(this.#bytes)}, compressed ${megabytes(this.#gzipBytes)}`],
      ["time", `${fixed(seconds, 1)} s: ${whole(this.#files / seconds)} calls a second`],
      [
        "latency",
        `median ${fixed(median)} ms, p99 ${fixed(p99)} ms, including the time in the queue`,
      ],
      [
        "deaths",
        `${stats.serverDeaths}; requests that another server took over: ${stats.redelivered}`,
      ],
    ];
    console.log();
    for (const [name, value] of lines) console.log(`${name.padEnd(8)} ${value}`);
    console.log("\ncalls by server and client:");
    console.table(Object.fromEntries(servers.map((name, number) => [name, this.#share(number)])));
    this.#printFailures("could not be read", this.unread);
    this.#printFailures("failed", this.failed);
  }

  #share(server: number): Record<string, string> {
    const { calls = 0, bytes = 0, byRuntime } = this.#byServer.get(server) ?? {};
    const percent = 100 * calls / Math.max(1, this.#files);
    return {
      ...Object.fromEntries(
        runtimeNames.map((name) => [`${name} clients`, whole(byRuntime?.get(name) ?? 0)]),
      ),
      together: whole(calls),
      share: `${fixed(percent, 1)} %`,
      bytes: megabytes(bytes),
    };
  }

  #printFailures(what: string, failures: readonly Failed[]): void {
    if (failures.length === 0) return;
    console.log(`${failures.length} ${what}:`);
    for (const { path, reason } of failures.slice(0, 10)) console.log(`  ${path}: ${reason}`);
    if (failures.length > 10) console.log("  and more");
  }
}

function megabytes(bytes: number): string {
  return `${fixed(bytes / 1e6, 1)} MB`;
}
