/**
 * Runs the demo: starts the processes, hands out the files and kills a server.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Server } from "../mod.ts";
import { type RuntimeName, runtimeNames } from "../src/runtime/processes.ts";
import { answerBytes, type Batch, type Report } from "./messages.ts";
import type { Options } from "./options.ts";
import { DemoProcess } from "./processes.ts";
import { type Progress, showProgress } from "./progress.ts";
import { Tally } from "./tally.ts";
import { largestHalfway, requestBytesMax, type TreeFile } from "./tree.ts";

/** The requests that a client has in flight at the same time. */
const lanesPerClient = 4;
/** The most files in a batch. */
const batchFiles = 8;
/** The client also compresses one file in this many, unless it is large. */
const sampleEvery = 50;
const sampleBytesMax = 1_000_000;
/** A file of this size keeps a server busy for a tenth of a second. */
const busyBytesMax = 4_000_000;
/** How much a file may grow until the client sends it. */
const growthBytes = 1 << 20;
/** How long a process may take to end: it may be working on a large file. */
const graceMs = 2_000;

/** Starts the demo. */
export class Run {
  /** Resolves when all files are done. Rejects when a process fails or `stop` is called. */
  readonly finished: Promise<void>;
  readonly tally: Tally = new Tally();
  readonly #options: Options;
  readonly #files: readonly TreeFile[];
  readonly #progress: Progress;
  /** With a file of this size a server reports that it is busy. */
  readonly #busyBytes: number;
  readonly #target: string;
  readonly #workTarget: string;
  /** Creates the channel and reads its statistics. */
  readonly #channel: Client;
  readonly #work: Server;
  readonly #servers: DemoProcess[] = [];
  readonly #clients: DemoProcess[] = [];
  readonly #stopped = Promise.withResolvers<never>();
  #victim: DemoProcess | null = null;
  #handedOut = 0;
  #begin = 0;

  constructor(options: Options, files: readonly TreeFile[]) {
    this.#options = options;
    this.#files = largestHalfway(files);
    this.#target = `demo-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    this.#workTarget = `${this.#target}-work`;
    const largest = files.reduce((max, { bytes }) => Math.max(max, bytes), 0);
    this.#busyBytes = Math.min(largest, busyBytesMax);
    this.#channel = Client.open(this.#target, {
      create: {
        // One for each lane, and more: a process that gives memory back holds a slot for a moment.
        slots: 2 * options.clients * lanesPerClient,
        // This is address space. Only requests in flight use memory.
        maxRequestBytes: Math.min(largest + growthBytes, requestBytesMax),
        maxResponseBytes: answerBytes,
        // If a server dies while it holds a request, another server gets it.
        maxDeliveries: 2,
      },
    });
    this.#work = Server.create(this.#workTarget);
    this.#progress = showProgress(files.length);
    this.finished = Promise.race([this.#start(), this.#stopped.promise]);
  }

  /** Stops the run. */
  stop(reason: string): void {
    this.#stopped.reject(new Error(reason));
  }

  /** Prints the summary of a run that has finished. */
  printSummary(): void {
    const seconds = (performance.now() - this.#begin) / 1e3;
    const names = this.#servers.map((server) =>
      server === this.#victim ? `${server.name}, killed` : server.name
    );
    this.tally.print(seconds, names, this.#channel.stats());
  }

  /** Ends the processes and removes the channels. */
  async cleanUp(): Promise<void> {
    this.#progress.end();
    const processes = [...this.#clients, ...this.#servers];
    await Promise.all(processes.map((process) => process.stop(graceMs)));
    this.#work.unlink();
    this.#work.close();
    this.#channel.close();
    Server.unlink(this.#target);
  }

  async #start(): Promise<void> {
    for (const runtime of runtimeNames) this.#startServer(`${runtime} server`, runtime);
    for (let number = 0; number < this.#options.clients; number++) this.#startClient(number);
    // Else the quickest to start could do all the work on a small tree.
    while (this.#channel.servers < runtimeNames.length) await sleep(10);
    this.#work.serve((request) => JSON.stringify(this.#nextBatch(request.json() as Report)))
      .catch((error: Error) => this.#stopped.reject(error));
    await Promise.all(this.#clients.map(async ({ name, ended }) => {
      const failure = await ended;
      if (failure !== null) throw new Error(`the ${name} ended with ${failure}`);
    }));
    this.#progress.end();
  }

  #startServer(name: string, runtime: RuntimeName): void {
    const args = [this.#target, `${this.#servers.length}`, `${this.#busyBytes}`];
    const module = new URL("server.ts", import.meta.url);
    const server = new DemoProcess(name, runtime, module, args, ["--allow-ffi"]);
    this.#servers.push(server);
    server.onOutput(() => this.#killIfDue(server));
    server.ended.then((failure) => {
      if (server !== this.#victim) this.stop(`the ${name} ended with ${failure ?? "code 0"}`);
    });
  }

  #startClient(number: number): void {
    const runtime = runtimeNames[number % runtimeNames.length]!;
    const args = [this.#target, this.#workTarget, `${lanesPerClient}`];
    const permissions = ["--allow-ffi", `--allow-read=${this.#options.tree}`];
    const module = new URL("client.ts", import.meta.url);
    this.#clients.push(
      new DemoProcess(`${runtime} client ${number + 1}`, runtime, module, args, permissions),
    );
  }

  /** Takes the results of a lane, and returns its next files. */
  #nextBatch(report: Report): Batch {
    this.#begin ||= performance.now();
    this.tally.add(report);
    this.#progress.update(this.tally.settled);
    // Perhaps no server has reported that it is busy.
    if (this.tally.settled * 4 >= this.#files.length * 3) this.#killIfDue(this.#servers[0]!);
    const left = this.#files.length - this.#handedOut;
    // Smaller batches towards the end keep all lanes busy.
    const lanes = this.#options.clients * lanesPerClient;
    const end = this.#handedOut + Math.min(batchFiles, Math.ceil(left / lanes / 2));
    const begin = this.#handedOut;
    this.#handedOut = end;
    return this.#files.slice(begin, end).map(({ path, bytes }, index) => ({
      path,
      isSample: (begin + index) % sampleEvery === 0 && bytes <= sampleBytesMax,
    }));
  }

  /** Kills a server that holds a request, once half the files are handed out. */
  #killIfDue(victim: DemoProcess): void {
    if (!this.#options.kill || this.#victim !== null) return;
    if (this.#handedOut * 2 >= this.#files.length) this.#kill(victim);
  }

  #kill(victim: DemoProcess): void {
    this.#victim = victim;
    victim.kill();
    this.#progress.note(
      `killed the ${victim.name} (process ${victim.pid}) with SIGKILL; a new one takes its place`,
    );
    this.#startServer(`${victim.runtime} server, new`, victim.runtime);
  }
}
