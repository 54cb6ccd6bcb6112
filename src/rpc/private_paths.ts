/**
 * The ways to single services of a target: their private paths, on which they take calls, too.
 *
 * @module
 */
import { codeOf } from "../base/guard.ts";
import type { Requester } from "../transport/transport.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Line, Paths } from "./lines.ts";
import { Presence } from "./presence.ts";

/** Keeps the private paths that were opened through one line. */
export class PrivatePaths implements Paths {
  readonly #main: Requester;
  readonly #endpoint: Endpoint;
  readonly #lines: Map<string, Line> = new Map();

  /** @param endpoint of the target: streams and long messages of the calls go through it as well */
  constructor(main: Requester, endpoint: Endpoint) {
    this.#main = main;
    this.#endpoint = endpoint;
  }

  open(name: string): Line | null {
    const known = this.#lines.get(name);
    if (known && known.requester.receivers > 0) return known;
    if (known) this.close(known);
    const requester = this.#connect(name);
    if (!requester) return null;
    const presence = new Presence(requester);
    const line: Line = { requester, endpoint: this.#endpoint, paths: this, presence };
    this.#lines.set(name, line);
    // A request that waits in the queue of a dead service would wait for ever.
    const look = () => {
      if (this.has(line) && requester.receivers === 0) this.close(line);
    };
    requester.onLoss(look);
    look();
    return this.has(line) ? line : null;
  }

  #connect(name: string): Requester | null {
    try {
      return this.#main.connectPrivate(name);
    } catch (error) {
      if (codeOf(error) === "NOT_FOUND") return null;
      throw error;
    }
  }

  has(line: Line): boolean {
    for (const known of this.#lines.values()) if (known === line) return true;
    return false;
  }

  keep(names: ReadonlySet<string>): void {
    for (const [name, line] of [...this.#lines]) if (!names.has(name)) this.close(line);
  }

  close(line: Line): void {
    for (const [name, known] of this.#lines) if (known === line) this.#lines.delete(name);
    line.requester.close();
  }

  closeAll(): void {
    for (const line of [...this.#lines.values()]) this.close(line);
  }
}
