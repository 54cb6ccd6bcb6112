/**
 * How the lines of services reach whoever follows them: the port of a `tandem node run`, registered in the family
 * `tandem:logs`, sends them to the ports that ask for them.
 *
 * @module
 */
import type { LogLevel } from "@tandem/ipc/pool";
import type { Node, Port } from "@tandem/ipc/node";
import { logLevels } from "../log_lines.ts";

/** The family of the registry in which desks are. */
export const logFamily = "tandem:logs";

/** So many lines are kept for those who come later. */
export const keptLines = 1_000;

/** A line of a service, or of what runs it. */
export interface LogLine {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly level: LogLevel;
  /** The name of the service. */
  readonly source: string;
  readonly message: string;
}

/** Whether somebody has sent a line. */
export function isLogLine(value: unknown): value is LogLine {
  const { time, level, source, message } = Object(value) as Partial<Record<keyof LogLine, unknown>>;
  return Number.isSafeInteger(time) && logLevels.includes(level as LogLevel) &&
    typeof source === "string" && typeof message === "string";
}

/** What a desk understands. */
export interface LogDeskPort {
  /** From now on, the port gets each line, and now the last ones. */
  follow(port: string, lines: number): void;
  /** The port gets no more. It also does when it has ended. */
  unfollow(port: string): void;
}

/** What a port that follows gets. */
export interface FollowerPort {
  line(line: LogLine): void;
}

/** Sends lines to those that follow. One that is too slow ends; the others, and the services, do not wait for it. */
export class LogDesk {
  readonly #node: Node;
  readonly #kept: LogLine[] = [];
  readonly #followers: Map<string, Disposable> = new Map();
  readonly port: Port<LogDeskPort>;

  constructor(node: Node) {
    this.#node = node;
    this.port = node.port<LogDeskPort>({
      follow: (port, lines) => this.#follow(port, lines),
      unfollow: (port) => this.#unfollow(port),
    });
    // What it does not understand must not end it.
    this.port.onMessage(() => {});
    node.registry.register(logFamily, this.port);
  }

  /** Passes a line on, until the node is closed. */
  add(line: LogLine): void {
    if (this.port.signal.aborted) return;
    this.#kept.push(line);
    // Seldom, since it moves all of them.
    if (this.#kept.length >= 2 * keptLines) this.#kept.splice(0, keptLines);
    for (const port of this.#followers.keys()) this.#node.send<FollowerPort>(port, "line", line);
  }

  #follow(port: string, lines: number): void {
    // What comes may be anything, and an exception would end the desk.
    if (typeof port !== "string" || !port.includes("#", 1) || this.#followers.has(port)) return;
    this.#followers.set(port, this.#node.monitor(port, () => this.#unfollow(port)));
    const count = Math.min(Number(lines) || 0, keptLines);
    for (const line of count > 0 ? this.#kept.slice(-count) : []) {
      this.#node.send<FollowerPort>(port, "line", line);
    }
  }

  #unfollow(port: string): void {
    this.#followers.get(port)?.[Symbol.dispose]();
    this.#followers.delete(port);
  }
}
