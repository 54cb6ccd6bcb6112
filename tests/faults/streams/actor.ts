/**
 * A process with its program and its node. It judges what the node tells it.
 *
 * @module
 */
import type { EntryChanges } from "../../../src/node/registry/boards.ts";
import type { FarNodes } from "../../../src/nats/nodes/far_nodes.ts";
import type { CarrierListener, NodeInfo } from "../../../src/node/carrier.ts";
import type { Hall } from "../../../src/node/hall/hall.ts";
import { type Post, Process, sequenceOf, type World } from "./world.ts";

/** One thing that a program does. */
export type Op =
  /** Joins with an id. `after`: when the process with that number is dead, as one that has its id. */
  | { readonly do: "join"; readonly id: string; readonly after?: number }
  /** Sends a numbered message to the node with an id, if that is up. */
  | { readonly do: "send"; readonly to: string; readonly bytes?: number }
  | { readonly do: "publish" }
  /** Sends a message as `send` does, and changes its board in the same turn, as the registry does. */
  | { readonly do: "announce"; readonly to: string }
  /** Reads all boards, as the registry does. */
  | { readonly do: "read" }
  | { readonly do: "close" };

/** Where the actors are. */
export interface Stage {
  readonly world: World;
  readonly actors: readonly Actor[];
  /** Something is as it must not be. */
  fail(text: string): void;
  join(actor: Actor, id: string, number: number): Hall | FarNodes;
  /** What a node says of itself, and which version of it stands on a board. */
  boardOf(actor: Actor): Uint8Array;
  /** What differs from the version before. */
  changeOf(actor: Actor): EntryChanges;
  keysOn(board: Uint8Array): string[];
  versionOf(keys: readonly string[]): string;
}

/** What one node was told of another process's node. */
interface Known {
  state: "up" | "down";
  /** The last number that came. */
  last: number;
  /** Messages may be missing before the next one. */
  isCut: boolean;
  cuts: number;
}

/** A process with its program and its node. */
export class Actor implements CarrierListener {
  readonly simKey: string;
  readonly process: Process;
  readonly scene: Stage;
  readonly program: readonly Op[];
  next = 0;
  hall: Hall | FarNodes | null = null;
  id = "";
  isClosing = false;
  hasLeft = false;
  published = 0;
  /** Its board does not say yet what it has changed. */
  #isStale = false;
  /** How many messages were given to the hall for each other id, by now. */
  readonly sent: Map<string, number> = new Map();
  readonly known: Map<string, Known> = new Map();
  /** What is on the boards of others. */
  readonly boards: Map<string, string> = new Map();
  /** Their keys. */
  readonly #keys: Map<string, Set<string>> = new Map();

  constructor(scene: Stage, number: number, program: readonly Op[]) {
    this.scene = scene;
    this.simKey = `actor ${number}`;
    this.process = new Process(scene.world, number);
    this.program = program;
  }

  /** Of its board. */
  get version(): string {
    return this.#version(this.published);
  }

  /** Of the one before. */
  get before(): string {
    return this.#version(this.published - 1);
  }

  #version(published: number): string {
    return `p${this.process.number}v${published}`;
  }

  get lives(): boolean {
    return this.hall !== null && !this.process.isDead && !this.hasLeft;
  }

  #fail(text: string): void {
    this.scene.fail(`${this.id} ${text}`);
  }

  up({ id, name }: NodeInfo): void {
    if (this.known.get(id)?.state === "up") this.#fail(`hears twice that ${id} is up`);
    if (!this.scene.actors.some((each) => each.id === id && `${each.process.number}` === name)) {
      this.#fail(`hears of ${id}, whose name is ${name}`);
    }
    this.known.set(id, { state: "up", last: 0, isCut: false, cuts: 0 });
  }

  received(id: string, message: Uint8Array): void {
    const known = this.known.get(id);
    const words = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const [sender, number] = [words.getUint8(0), words.getUint8(1)];
    for (let at = 2; at < message.byteLength; at++) {
      if (message[at] !== number) return this.#fail("gets a message that was put together wrongly");
    }
    if (known?.state !== "up") return this.#fail(`gets a message of ${id}, which is not up`);
    const process = this.scene.actors[sender];
    if (process?.id !== id) return this.#fail(`gets a message of ${id} that another has sent`);
    if (number <= known.last) this.#fail(`gets ${number} of ${id} after ${known.last}`);
    if (number !== known.last + 1 && !known.isCut) {
      this.#fail(`gets ${number} of ${id} after ${known.last}, and nobody has told of a loss`);
    }
    known.isCut = false;
    known.last = number;
  }

  down({ id, name }: NodeInfo, farewell: boolean, message: string): void {
    const known = this.known.get(id);
    if (known?.state !== "up") return this.#fail(`hears that ${id} is down, which is not up`);
    known.state = "down";
    const other = this.scene.actors.find((each) => `${each.process.number}` === name)!;
    if (!other.process.isDead && !other.isClosing) {
      this.#fail(`hears that ${id} is down, which lives`);
    }
    if (farewell !== (other.isClosing && !other.process.isDead)) {
      this.#fail(`hears ${farewell ? "a" : "no"} farewell of ${id}`);
    }
    const sent = other.sent.get(this.id) ?? 0;
    if (farewell && known.last !== sent && !known.isCut) {
      this.#fail(`hears the farewell of ${id} after ${known.last} of ${sent} messages`);
    }
    const rest = this.process.mailbox!.posts.filter(({ poster }) =>
      poster.process === other.process
    );
    // A successor has come before the kernel has let go of the mailbox: the half post was not sent, then.
    const isEarly = message.includes("another has its id");
    if (rest.some((post) => hasMessages(post) && !(isEarly && post.isHalf))) {
      this.#fail(`hears that ${id} is down before its last messages`);
    }
  }

  lost({ id }: NodeInfo): void {
    const known = this.known.get(id);
    if (known?.state !== "up") return this.#fail(`hears of a loss of ${id}, which is not up`);
    known.isCut = true;
    known.cuts += 1;
  }

  get mayGoOn(): boolean {
    const op = this.program[this.next];
    if (op === undefined || this.process.isDead || this.isClosing) return false;
    if (op.do !== "join") return this.hall !== null;
    return op.after === undefined || this.scene.actors[op.after]!.process.isDead;
  }

  /** Does the next thing of its program. */
  goOn(): void {
    const op = this.program[this.next]!;
    this.next += 1;
    const { hall, process: { number } } = this;
    switch (op.do) {
      case "join":
        this.id = op.id;
        this.hall = this.scene.join(this, op.id, number);
        this.hall.boards.beforeMessages(() => this.#publish());
        this.process.beforePost = () => {
          if (this.#isStale) this.#fail("sends messages before its board says what it has changed");
        };
        return;
      case "send":
        return this.#send(op.to, op.bytes ?? 3);
      case "publish":
        this.published += 1;
        this.#isStale = true;
        return this.#publish();
      case "announce":
        this.#send(op.to, 3);
        this.published += 1;
        this.#isStale = true;
        this.process.microtasks.push(() => this.#publish());
        return;
      case "read":
        return this.readBoards();
      case "close":
        this.isClosing = true;
        void hall!.close().then(() => this.hasLeft = true);
    }
  }

  #send(to: string, byteLength: number): void {
    const sent = (this.sent.get(to) ?? 0) + 1;
    const message = new Uint8Array(byteLength).fill(sent);
    message[0] = this.process.number;
    if (this.hall!.send(to, message)) this.sent.set(to, sent);
  }

  #publish(): void {
    if (!this.#isStale) return;
    this.hall!.boards.publish(this.scene.boardOf(this), this.scene.changeOf(this));
    this.#isStale = false;
  }

  /** Looks at the boards, as the registry does. */
  readBoards(): void {
    for (const change of this.hall!.boards.changes()) {
      const { board } = change;
      if ("bytes" in change && change.bytes === null) {
        this.boards.delete(board);
        this.#keys.delete(board);
        continue;
      }
      let keys = this.#keys.get(board) ?? new Set();
      if ("bytes" in change) keys = new Set(this.scene.keysOn(change.bytes!));
      else {
        if (change.isWhole) keys = new Set();
        for (const [place, entry] of change.entries) {
          if (entry) keys.add(entry.key);
          else keys.delete(place.replace(/^.* /, ""));
        }
      }
      this.#keys.set(board, keys);
      this.boards.set(board, this.scene.versionOf([...keys]));
    }
  }
}

/** Whether a post has messages that count; heads alone have none. */
function hasMessages({ bytes, isHalf }: Post): boolean {
  return !isHalf ? bytes.byteLength > 32 && sequenceOf(bytes) !== 0 : true;
}
