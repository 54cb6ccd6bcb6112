/**
 * One run of the demo: the processes, the work and the death.
 *
 * @module
 */
import process from "node:process";
import { type Runtime, runtimes } from "../bench/lib/runtimes.ts";
import { Client, Server } from "../mod.ts";
import { answerBytes, type Batch, type Report } from "./messages.ts";
import type { Options } from "./options.ts";
import { DemoProcess } from "./processes.ts";
import { type Progress, showProgress } from "./progress.ts";
import { Tally } from "./tally.ts";
import { largestHalfWay, requestBytesMax, type TreeFile } from "./tree.ts";

/** Requests that a client has in flight at once. */
const lanesPerClient = 4;
/** Files that a lane is given at once. */
const batchFiles = 8;
/** One file in so many is compressed by its client too, unless it is large. */
const sampleEvery = 50;
const sampleBytesMax = 1_000_000;
/** A server that has a file like this is busy for a tenth of a second. */
const busyBytesMax = 4_000_000;
/** How much a file may grow until it is sent. */
const growthBytes = 1 << 20;
/** How long a process may take to end by itself: it may be in the middle of a large file. */
const graceMs = 2_000;

/** Starts everything; {@linkcode finished} says how it went. */
export class Run {
  /** Rejects when the run was broken off. */
  readonly finished: Promise<void>;
  readonly tally: Tally = new Tally();
  readonly #options: Options;
  readonly #files: readonly TreeFile[];
  readonly #progress: Progress;
  /** With a file as large as this a server is busy for a while, and says so when it starts. */
  readonly #busyBytes: number;
  readonly #target: string;
  readonly #workTarget: string;
  /** Makes the channel, and sends nothing. */
  readonly #channel: Client;
  readonly #work: Server;
  readonly #servers: DemoProcess[] = [];
  readonly #clients: DemoProcess[] = [];
  readonly #broken = Promise.withResolvers<never>();
  #victim: DemoProcess | null = null;
  #handedOut = 0;
  #begin = 0;

  constructor(options: Options, files: readonly TreeFile[]) {
    this.#options = options;
    this.#files = largestHalfWay(files);
    this.#target = `demo-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    this.#workTarget = `${this.#target}-work`;
    const largest = files.reduce((max, { bytes }) => Math.max(max, bytes), 0);
    this.#busyBytes = Math.min(largest, busyBytesMax);
    this.#channel = Client.open(this.#target, {
      create: {
        // One for each lane, and some more: a process that gives memory back holds a slot for a moment.
        slots: 2 * options.clients * lanesPerClient,
        // Address space; memory is used only for what is in flight.
        maxRequestBytes: Math.min(largest + growthBytes, requestBytesMax),
        maxResponseBytes: answerBytes,
        // When the first server dies with a request in hand, another one gets it.
        maxDeliveries: 2,
      },
    });
    this.#work = Server.create(this.#workTarget);
    this.#progress = showProgress(files.length);
    this.finished = Promise.race([this.#start(), this.#broken.promise]);
  }

  /** Breaks the run off. */
  stop(reason: string): void {
    this.#broken.reject(new Error(reason));
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
    this.#work.serve((request) => JSON.stringify(this.#handOut(request.json() as Report)))
      .catch((error: Error) => this.#broken.reject(error));
    for (const runtime of runtimes) this.#startServer(`${runtime} server`, runtime);
    for (let number = 0; number < this.#options.clients; number++) this.#startClient(number);
    await Promise.all(this.#clients.map(async ({ name, ended }) => {
      const how = await ended;
      if (how !== null) throw new Error(`the ${name} ended with ${how}`);
    }));
    this.#progress.end();
  }

  #startServer(name: string, runtime: Runtime): void {
    const args = [this.#target, `${this.#servers.length}`, `${this.#busyBytes}`];
    const module = new URL("server.ts", import.meta.url);
    const server = new DemoProcess(name, runtime, module, args, ["--allow-ffi"]);
    this.#servers.push(server);
    server.onOutput(() => this.#killIfDue(server));
    server.ended.then((how) => {
      if (server !== this.#victim) this.stop(`the ${name} ended with ${how ?? "code 0"}`);
    });
  }

  #startClient(number: number): void {
    const runtime = runtimes[number % runtimes.length]!;
    const args = [this.#target, this.#workTarget, `${lanesPerClient}`];
    const permissions = ["--allow-ffi", `--allow-read=${this.#options.tree}`];
    const module = new URL("client.ts", import.meta.url);
    this.#clients.push(
      new DemoProcess(`${runtime} client ${number + 1}`, runtime, module, args, permissions),
    );
  }

  /** Takes what a lane has done and says what it does next. */
  #handOut(report: Report): Batch {
    this.#begin ||= performance.now();
    this.tally.add(report);
    this.#progress.update(this.tally.settled);
    // Should no server have said that it is busy.
    if (this.tally.settled * 4 >= this.#files.length * 3) this.#killIfDue(this.#servers[0]!);
    const left = this.#files.length - this.#handedOut;
    // Less towards the end, so that all lanes have something to do until then.
    const lanes = this.#options.clients * lanesPerClient;
    const end = this.#handedOut + Math.min(batchFiles, Math.ceil(left / lanes / 2));
    const begin = this.#handedOut;
    this.#handedOut = end;
    return this.#files.slice(begin, end).map(({ path, bytes }, index) => ({
      path,
      isSample: (begin + index) % sampleEvery === 0 && bytes <= sampleBytesMax,
    }));
  }

  /** Half-way, at a moment when the server that is to die has something to lose. */
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
