/**
 * A port that follows what others have to tell, until it cannot keep up, and then again.
 *
 * @module
 */
import type { Node, Port, PortId, Reason, TandemError } from "@tandem/ipc/node";
import type { Context } from "../context.ts";

/** How to follow. */
export interface Following {
  /** The tag of what comes. */
  readonly tag: string;
  /** Takes what comes, which may be anything. The next one waits for it. */
  take(...values: unknown[]): Promise<void>;
  /** Asks a source to tell this port. `isAgain`: some of what it has told is lost. */
  ask(source: PortId, own: PortId, isAgain: boolean): void;
}

/** Follows ports. */
export class Follower {
  readonly #node: Node;
  readonly #context: Context;
  readonly #following: Following;
  /** The ports that it follows, and its monitors of them. */
  readonly #sources: Map<string, Disposable> = new Map();
  #port: Port;

  constructor(node: Node, context: Context, following: Following) {
    this.#node = node;
    this.#context = context;
    this.#following = following;
    this.#port = this.#open();
  }

  follow(source: PortId, isAgain = false): void {
    if (this.#sources.has(source)) return;
    this.#sources.set(source, this.#node.monitor(source, (reason) => this.#ended(source, reason)));
    this.#following.ask(source, this.#port.id, isAgain);
  }

  #open(): Port {
    // It waits for who reads the lines. If too many wait meanwhile, it ends, and nothing else does.
    const port = this.#node.port();
    port.on(this.#following.tag, (...values: unknown[]) => this.#following.take(...values));
    // A later version may have more to say.
    port.onMessage(() => {});
    port.signal.addEventListener("abort", () => {
      const kind = (port.signal.reason as TandemError).reason?.kind;
      if (kind !== "shutdown") this.#portEnded();
    });
    return port;
  }

  #portEnded(): void {
    this.#port = this.#open();
    const sources = [...this.#sources];
    this.#sources.clear();
    for (const [source, monitor] of sources) {
      monitor[Symbol.dispose]();
      this.#goOn(source);
    }
  }

  #ended(source: string, { kind }: Reason): void {
    this.#sources.delete(source);
    // The port lives: only the way from it was cut.
    if (kind === "overflow") this.#goOn(source);
  }

  #goOn(source: string): void {
    const { stderr } = this.#context.process;
    stderr.write("tandem: lines were lost: they came faster than they are read\n");
    this.follow(source, true);
  }
}
