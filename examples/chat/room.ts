/**
 * A room of the chat. Its members find each other in the registry, and each of them monitors all others: there is no server.
 *
 * @module
 */
import type { Node, Port, PortId, Reason } from "@tandem/ipc/node";

/** What members send each other. */
interface Member {
  say(name: string, text: string): void;
}

interface Other {
  readonly name: string;
  /** Of its end. */
  readonly monitor: Disposable;
}

/** A member's place in a room. Who disposes it leaves the room. */
export class Room implements Disposable {
  readonly #node: Node;
  readonly #name: string;
  readonly #me: Port<Member>;
  readonly #others: Map<PortId<Member>, Other> = new Map();
  readonly #watch: Disposable;
  readonly #show: (line: string) => void;

  /**
   * @param name letters, digits and `_`
   * @param me what the others call this member
   * @param show takes a line for the terminal
   */
  constructor(node: Node, name: string, me: string, show: (line: string) => void) {
    this.#node = node;
    this.#name = me;
    this.#show = show;
    this.#me = node.port<Member>({ say: (from, text) => show(`${from}: ${text}`) });
    const family = `room:${name}`;
    // The entry goes with the port: when this member leaves, and when its process dies.
    node.registry.register(family, this.#me, me);

    let isFirst = true;
    this.#watch = node.registry.watch<string>(family, ({ entries, added }) => {
      for (const id of added) {
        if (id === this.#me.id) continue;
        const { value } = entries.get(id)!;
        this.#meet(id, value);
        if (!isFirst) show(`* ${value} has come`);
      }
      if (isFirst) show(`* you are in the ${name}, ${this.#company()}`);
      isFirst = false;
    });
  }

  /** The names of the others. */
  get others(): string[] {
    return [...this.#others.values()].map(({ name }) => name);
  }

  say(text: string): void {
    for (const id of this.#others.keys()) this.#node.send(id, "say", this.#name, text);
  }

  #company(): string {
    return this.#others.size === 0 ? "alone" : `with ${this.others.join(", ")}`;
  }

  #meet(id: PortId<Member>, name: string): void {
    // Fires once, after the last message of that member. The registry would only say that the entry is gone.
    const monitor = this.#node.monitor(id, (reason) => {
      this.#others.delete(id);
      this.#show(`* ${name} ${end(reason)}`);
    });
    this.#others.set(id, { name, monitor });
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    for (const { monitor } of this.#others.values()) monitor[Symbol.dispose]();
    // The monitors of the others fire.
    this.#me.kill();
  }
}

function end({ kind, message }: Reason): string {
  switch (kind) {
    case "normal":
      return "has left the room";
    case "shutdown":
      return "has quit";
    default:
      return `is gone: ${message}`;
  }
}
