/**
 * The processes that go on: servers and clients of all runtimes, each used for many trials.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import type { ChannelOptions, SendOptions } from "../../../mod.ts";
import { toolCommand } from "../../../scripts/tools.ts";
import { Child, eventually, type Runtime } from "../../support/processes.ts";
import type { ClientCommand, Outcome } from "./client.ts";
import type { Handled, ServerCommand } from "./server.ts";

/** The participants beside the victim. */
export interface Cast {
  readonly title: string;
  readonly servers: readonly Runtime[];
  readonly clients: readonly Runtime[];
  /** That many more servers and clients, which are stopped as long as the channel is open. */
  readonly bystanders: readonly Runtime[];
}

abstract class Survivor<Command> {
  readonly runtime: Runtime;
  readonly process: Child;
  #isStopped = false;

  constructor(runtime: Runtime, program: string, env: Readonly<Record<string, string>>) {
    this.runtime = runtime;
    const path = new URL(program, import.meta.url);
    const command = toolCommand(runtime, path, [], ["--allow-ffi"]);
    this.process = new Child(`${runtime} ${program}`, command.program, command.args, env);
  }

  async greeting(): Promise<void> {
    const { runtime, process } = this;
    assertEquals(await process.message<unknown>(), { runtime, pid: process.pid });
  }

  protected async ask<Answer>(command: Command): Promise<Answer> {
    const answer = await this.process.ask<Answer>(command);
    const error = (answer as { error?: unknown } | null)?.error;
    if (error) {
      const asked = JSON.stringify(command);
      throw new Error(`${this.runtime}: ${asked} failed: ${JSON.stringify(error)}`);
    }
    return answer;
  }

  /** Stops it, and returns when it is stopped. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.process.kill("SIGSTOP");
    await eventually(() => stateOf(this.process.pid) === "T", "a process is stopped");
  }

  resume(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.process.kill("SIGCONT");
  }

  async end(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.closed;
  }
}

function stateOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name, in parentheses, may contain anything.
  return stat[stat.lastIndexOf(")") + 2]!;
}

/** See server.ts. */
export class SurvivingServer extends Survivor<ServerCommand> {
  constructor(runtime: Runtime, env: Readonly<Record<string, string>>) {
    super(runtime, "server.ts", env);
  }

  async open(target: string, options: ChannelOptions): Promise<void> {
    await this.ask({ op: "open", target, options });
  }

  async close(): Promise<void> {
    await this.ask({ op: "close" });
  }

  async tell(op: "serve" | "rest" | "finish" | "anonymous"): Promise<void> {
    await this.ask({ op });
  }

  /** Blocks in a wait for one request; resolves when it has answered it. */
  async take(): Promise<void> {
    await this.ask({ op: "take" });
  }

  handled(): Promise<readonly Handled[]> {
    return this.ask({ op: "handled" });
  }
}

/** See client.ts. */
export class SurvivingClient extends Survivor<ClientCommand> {
  constructor(runtime: Runtime, env: Readonly<Record<string, string>>) {
    super(runtime, "client.ts", env);
  }

  async open(target: string, options: ChannelOptions): Promise<void> {
    await this.ask({ op: "open", target, options });
  }

  async close(): Promise<void> {
    await this.ask({ op: "close" });
  }

  /** The id of the request, once it is sent. */
  async start(key: string, payload: number | string, send: SendOptions = {}): Promise<bigint> {
    const { id } = await this.ask<{ id: string }>({ op: "start", key, payload, send });
    return BigInt(id);
  }

  /** A request that has to wait for a slot. */
  async startWaiting(key: string, payload: number | string): Promise<void> {
    await this.ask({ op: "start", key, payload, waits: true });
  }

  /** A request in which the thread blocks. */
  async startBlocking(key: string, payload: number | string): Promise<void> {
    await this.ask({ op: "start", key, payload, blocking: true });
  }

  async cancel(key: string): Promise<void> {
    assert(await this.ask({ op: "cancel", key }), `nothing to cancel: ${key}`);
  }

  outcome(key: string): Promise<Outcome> {
    return this.ask({ op: "outcome", key });
  }

  async post(payload: number | string): Promise<void> {
    assert(await this.ask({ op: "post", payload }), "no slot for a post");
  }

  check(): Promise<number> {
    return this.ask({ op: "check" });
  }

  slots(): Promise<number> {
    return this.ask({ op: "slots" });
  }
}
