/**
 * What `tandem node logs` does.
 *
 * @module
 */
import type { Node, Port, Reason, TandemError } from "@tandem/ipc/node";
import type { Context } from "../context.ts";
import { logLevels, textOf } from "../log_lines.ts";
import { EndingSignals } from "../signals.ts";
import type { FollowFlags } from "./flags.ts";
import { startGuest } from "./guest.ts";
import {
  type FollowerPort,
  isLogLine,
  type LogDeskPort,
  logFamily,
  type LogLine,
} from "./log_desk.ts";

/** Writes the lines of all services of a group, until a signal ends it. */
export async function followLogs(this: Context, flags: FollowFlags): Promise<void> {
  await using node = await startGuest(this, flags);
  const follower = new Follower(node, this, flags);
  await using watch = node.registry.watch(logFamily);
  using _signals = new EndingSignals(() => void watch.return());
  for await (const { entries, added } of watch) {
    for (const key of added) {
      const desk = entries.get(key)?.port;
      if (desk) follower.follow(desk);
    }
  }
}

/** Gets the lines of desks, and writes them. */
export class Follower {
  readonly #node: Node;
  readonly #context: Context;
  readonly #flags: FollowFlags;
  /** The desks that it follows, and its monitors of them. */
  readonly #desks: Map<string, Disposable> = new Map();
  #port: Port<FollowerPort>;

  constructor(node: Node, context: Context, flags: FollowFlags) {
    this.#node = node;
    this.#context = context;
    this.#flags = flags;
    this.#port = this.#open();
  }

  /** Asks a desk for its last lines, and for all that come. */
  follow(desk: string, lines: number = this.#flags.lines): void {
    if (this.#desks.has(desk)) return;
    this.#desks.set(desk, this.#node.monitor(desk, (reason) => this.#deskEnded(desk, reason)));
    this.#node.send<LogDeskPort>(desk, "follow", this.#port.id, lines);
  }

  #open(): Port<FollowerPort> {
    // It waits for who reads the lines. If too many wait meanwhile, it ends, and nothing else does.
    const port = this.#node.port<FollowerPort>({ line: (line) => this.#write(line) });
    // A later version may have more to say.
    port.onMessage(() => {});
    port.signal.addEventListener("abort", () => {
      const kind = (port.signal.reason as TandemError).reason?.kind;
      if (kind !== "shutdown") this.#portEnded();
    });
    return port;
  }

  async #write(line: LogLine): Promise<void> {
    if (!isLogLine(line)) return;
    const { time, level, source, message } = line;
    const { log, logLevel = "debug" } = this.#flags;
    if (logLevels.indexOf(level) < logLevels.indexOf(logLevel)) return;
    await this.#context.write(`${textOf(log, level, source, message, time)}\n`);
  }

  #portEnded(): void {
    this.#port = this.#open();
    const desks = [...this.#desks];
    this.#desks.clear();
    for (const [desk, monitor] of desks) {
      monitor[Symbol.dispose]();
      this.#goOn(desk);
    }
  }

  #deskEnded(desk: string, { kind }: Reason): void {
    this.#desks.delete(desk);
    // The desk lives: only the way from it was cut.
    if (kind === "overflow") this.#goOn(desk);
  }

  #goOn(desk: string): void {
    this.#context.process.stderr.write(
      "tandem: lines were lost: they came faster than they are read\n",
    );
    this.follow(desk, 0);
  }
}
