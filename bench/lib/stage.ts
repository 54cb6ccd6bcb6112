/**
 * The processes and files of one scenario. All of them are gone when the scenario ends, even if it fails.
 *
 * @module
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type ChannelOptions, IntServer, Server } from "../../mod.ts";
import { type Buckets, Histogram } from "./histogram.ts";
import type { Load, Measured, TimerMessage } from "./load.ts";
import { Child } from "./parent.ts";
import { nativeProgram, type Runtime } from "./runtimes.ts";
import { watchUsage } from "./usage.ts";

/** A client process that runs slices. */
export class Caller {
  readonly child: Child;
  /** The server processes, if no other client uses them. */
  readonly servers: readonly Child[];

  constructor(child: Child, servers: readonly Child[] = []) {
    this.child = child;
    this.servers = servers;
  }

  async run(load: Load): Promise<Measured> {
    this.child.send(load);
    return await this.child.receive<Measured>();
  }

  /** As {@linkcode run}, with a timer of 1 ms in the event loop of each side. */
  async runWithTimers(load: Load): Promise<Measured> {
    for (const server of this.servers) server.send("start timer" satisfies TimerMessage);
    const measured = await this.run({ ...load, withTimer: true });
    const lateness = new Histogram();
    for (const server of this.servers) {
      server.send("stop timer" satisfies TimerMessage);
      lateness.merge(await server.receive<Buckets>());
    }
    return { ...measured, serverLateness: lateness.buckets() };
  }

  /** As {@linkcode run}, with the processor time of both sides. */
  async runWatched(load: Load): Promise<Measured> {
    const watches = [this.child, ...this.servers].map(({ pid }) => watchUsage(pid));
    const measured = await this.run(load);
    const used = watches.map((usage) => usage());
    const cpuMs = used.reduce((sum, { ranMs, cpuMs }) => sum + (ranMs || cpuMs), 0);
    return { ...measured, cpuMs };
  }
}

/** A server and its address. */
export interface Served {
  readonly child: Child;
  readonly address: string;
}

/** Starts the processes of a scenario and makes its files. */
export class Stage implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack = new AsyncDisposableStack();
  readonly #folder: string;
  #files = 0;

  constructor() {
    // A file system in memory, if there is one: channels are designed for it.
    const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    this.#folder = mkdtempSync(join(parent, "tandem-bench-"));
    // Killed children leave files of their anonymous channels, which belong into this folder.
    const { TANDEM_DIR: before } = process.env;
    process.env.TANDEM_DIR = this.#folder;
    const remove = (): void => rmSync(this.#folder, { recursive: true, force: true });
    process.on("exit", remove);
    this.#stack.defer(() => {
      process.off("exit", remove);
      // A later child would make the folder again.
      if (before === undefined) delete process.env.TANDEM_DIR;
      else process.env.TANDEM_DIR = before;
      remove();
    });
  }

  /** A new path. */
  path(suffix: string): string {
    this.#files += 1;
    return join(this.#folder, `${this.#files}.${suffix}`);
  }

  /** Makes a channel. Returns its target. */
  channel(options: ChannelOptions = {}): string {
    const target = this.path("tandem");
    Server.create(target, options).close();
    return target;
  }

  /** Makes a channel for integers. Returns its target. */
  intChannel(): string {
    const target = this.path("tandem");
    IntServer.create(target).close();
    return target;
  }

  /** Starts the server of a contender. */
  async serve(runtime: Runtime, contender: string, address: string): Promise<Served> {
    const child = this.use(Child.of(runtime, program("server"), [contender, address]));
    return { child, address: (await child.receive<{ address: string }>()).address };
  }

  /** Starts a client of a contender. */
  async call(
    runtime: Runtime,
    contender: string,
    address: string,
    servers: readonly Child[] = [],
  ): Promise<Caller> {
    const child = this.use(Child.of(runtime, program("client"), [contender, address]));
    await child.receive();
    return new Caller(child, servers);
  }

  /** Starts the server and a client of a contender, each in its runtime. */
  async both(
    { client, server }: { readonly client: Runtime; readonly server: Runtime },
    contender: string,
    wanted: string,
  ): Promise<Caller> {
    const { child, address } = await this.serve(server, contender, wanted);
    return await this.call(client, contender, address, [child]);
  }

  /** As {@linkcode both}, in one runtime. */
  bothIn(runtime: Runtime, contender: string, wanted: string): Promise<Caller> {
    return this.both({ client: runtime, server: runtime }, contender, wanted);
  }

  /** Starts a program of native/bench.zig. */
  async native(...args: readonly string[]): Promise<Caller> {
    const name = ["tandem-bench", ...args].join(" ");
    const child = this.use(new Child(name, { program: nativeProgram, args }));
    await child.receive();
    return new Caller(child);
  }

  /**
   * Starts native code on both sides of a channel. `mode` names a client of native/bench.zig.
   */
  async control(mode: string = "call", ...args: readonly string[]): Promise<Caller> {
    const target = this.channel();
    await this.native("serve", target);
    return await this.native(mode, target, ...args);
  }

  /** Disposes a resource at the end of the scenario. */
  use<Resource extends AsyncDisposable>(resource: Resource): Resource {
    return this.#stack.use(resource);
  }

  defer(end: () => void | Promise<void>): void {
    this.#stack.defer(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function program(name: string): URL {
  return new URL(`../programs/${name}.ts`, import.meta.url);
}
