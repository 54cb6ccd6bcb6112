/**
 * A node that does a bit of everything with others of its kind, and keeps account of it: see `dweller.ts`.
 *
 * @module
 */
import process from "node:process";
import { Node, type Port, type PortId, type Reason, TandemError } from "../../../src/node/main.ts";
import { Random } from "../chaos/random.ts";
import { pause } from "../pool/stage.ts";
import { Claims } from "./claims.ts";
import { fault, isClosing, isEnding, noteClosing, type Place } from "./program.ts";

export interface DwellerPlan extends Place {
  readonly name: string;
  /** A chosen id; null: the node makes one. */
  readonly id: string | null;
  readonly seed: number;
}

/** What it offers. */
export interface DwellerPort {
  number(from: PortId, n: number, filler: Uint8Array): void;
  twice(n: number): number;
}

/** What it knows of another one. */
interface Known {
  readonly port: PortId<DwellerPort>;
  readonly pid: number;
  /** The number that was sent last. */
  sent: number;
  /** How often its monitor has fired. */
  ends: number;
  /** Monitors that were set after its end, and how many of them have fired. */
  late: number;
  lateEnds: number;
  /** A burst waits for room. */
  isSending: boolean;
  calls: number;
}

/** The account of a node. */
export interface Report {
  readonly node: string;
  readonly port: string;
  /** The other nodes. */
  readonly nodes: readonly string[];
  /** The numbers that came last, by the ports that have sent them. */
  readonly got: Readonly<Record<string, number>>;
  readonly known: Readonly<
    Record<string, Pick<Known, "pid" | "sent" | "ends" | "late" | "lateEnds">>
  >;
  /** What it has set in the registry, and not deleted. */
  readonly set: Readonly<Record<string, number>>;
  /** What it sees there: the value and the node of each key. */
  readonly seen: Readonly<Record<string, readonly [value: number, node: string]>>;
  readonly answers: number;
}

/** Those that are found in this family are of this kind. */
export const family = "dwellers";
const things = "things";
/** Keys that all nodes use, and keys that only one does. */
export const shared = "shared";
const keysMax = 5;
const callsMax = 4;

export class Dweller {
  readonly node: Node;
  readonly #plan: DwellerPlan;
  readonly #random: Random;
  readonly #port: Port<DwellerPort>;
  readonly #claims: Claims;
  readonly #known: Map<string, Known> = new Map();
  readonly #got: Map<string, number> = new Map();
  readonly #set: Map<string, number> = new Map();
  readonly #working: Promise<void>;
  #answers = 0;
  #isOver = false;
  #isClosing = false;
  /** Somebody writes into the memory in which nodes meet. */
  #isEnduring = false;

  static async start(plan: DwellerPlan): Promise<Dweller> {
    const { name, id, group } = plan;
    const node = await Node.start({ name, group, ...(id === null ? {} : { id }) });
    return new Dweller(node, plan);
  }

  constructor(node: Node, plan: DwellerPlan) {
    this.node = node;
    this.#plan = plan;
    this.#random = new Random(plan.seed, 0);
    this.#claims = new Claims(node, plan.notes, this.#random);
    this.#port = node.port<DwellerPort>({
      number: (from, n) => {
        const last = this.#got.get(from) ?? 0;
        if (n !== last + 1) this.#wrong(`message ${n} of ${from} comes after ${last}`);
        if ((this.#known.get(from)?.ends ?? 0) > 0) {
          this.#wrong(`a message of ${from} after its end`);
        }
        this.#got.set(from, n);
      },
      twice: (n) => 2 * n,
      // A node that was stopped finds what many others have sent.
    }, { maxQueue: 2 ** 20 });
    node.registry.register(family, this.#port, process.pid);
    node.registry.watch<number>(family, ({ entries }) => {
      for (const { port, value } of entries.values()) this.#meet(port!, value);
    });
    this.#working = this.#work();
  }

  #meet(port: PortId<DwellerPort>, pid: number): void {
    if (port === this.#port.id || this.#known.has(port) || this.#isClosing) return;
    const known: Known = {
      ...{ port, pid, sent: 0, ends: 0, late: 0, lateEnds: 0 },
      ...{ isSending: false, calls: 0 },
    };
    this.#known.set(port, known);
    this.node.monitor(port, (reason) => this.#ended(known, reason));
  }

  #ended(known: Known, { kind, message }: Reason): void {
    if (this.#isClosing) return;
    known.ends += 1;
    if (known.ends > 1) this.#wrong(`the monitor of ${known.port} has fired again: ${kind}`);
    this.#checkGone(known, `its monitor has fired, ${kind}: ${message}`);
    if (this.#random.chance(0.5)) return;
    known.late += 1;
    this.node.monitor(known.port, () => {
      known.lateEnds += 1;
      if (known.lateEnds > known.late) {
        this.#wrong(`a late monitor of ${known.port} has fired again`);
      }
    });
  }

  /** What has happened happens only to those that are dead, or about to close. */
  #checkGone({ port, pid }: Known, what: string): void {
    if (!isEnding(pid) && !isClosing(this.#plan, port)) this.#wrong(`${port} lives, but ${what}`);
  }

  #wrong(what: string, error?: unknown): void {
    if (!this.#isEnduring) fault(what, error);
  }

  endure(): void {
    this.#isEnduring = true;
  }

  async #work(): Promise<void> {
    const random = this.#random;
    while (!this.#isOver) {
      await pause(random.between(1, 100));
      try {
        await this.#step();
      } catch (error) {
        this.#wrong("a step has failed", error);
      }
    }
    this.#claims.release();
  }

  async #step(): Promise<void> {
    const random = this.#random;
    if (this.#isOver) return;
    const living = [...this.#known.values()].filter(({ ends }) => ends === 0);
    const known = living.length > 0 ? random.pick(living) : null;
    if (known && !known.isSending) void this.#send(known);
    if (known && known.calls < callsMax && random.chance(0.3)) void this.#call(known);
    if (random.chance(0.3)) this.#change();
    if (random.chance(0.3)) await this.#claims.step();
  }

  async #send(known: Known): Promise<void> {
    const random = this.#random;
    known.isSending = true;
    try {
      await this.node.ready(known.port);
      for (let left = random.skewed(1, 300); left > 0 && !this.#isOver; left--) {
        known.sent += 1;
        const filler = new Uint8Array(random.chance(0.01) ? random.skewed(1_000, 200_000) : 0);
        this.node.send<DwellerPort>(known.port, "number", this.#port.id, known.sent, filler);
      }
    } catch (error) {
      this.#failed(known, error);
    } finally {
      known.isSending = false;
    }
  }

  async #call(known: Known): Promise<void> {
    const n = this.#random.between(0, 1_000_000);
    known.calls += 1;
    try {
      const answer = await this.node.at<DwellerPort>(known.port).twice(n);
      if (answer !== 2 * n) this.#wrong(`twice ${n} is ${answer} for ${known.port}`);
      this.#answers += 1;
    } catch (error) {
      this.#failed(known, error);
    } finally {
      known.calls -= 1;
    }
  }

  #failed(known: Known, error: unknown): void {
    const code = error instanceof TandemError ? error.code : null;
    if (code === "CLOSED" && this.#isClosing) return;
    if (code !== "PORT_DIED") this.#wrong(`a call of ${known.port} has failed`, error);
    this.#checkGone(known, `a call has failed: ${(error as Error).message}`);
  }

  /** Changes the registry. */
  #change(): void {
    const random = this.#random;
    const { registry } = this.node;
    const key = `${random.pick([shared, this.#plan.name])}.${random.between(1, keysMax)}`;
    if (random.chance(0.4)) {
      registry.delete(things, key);
      this.#set.delete(key);
    } else {
      const value = random.between(0, 1_000_000);
      registry.set(things, key, value);
      this.#set.set(key, value);
    }
  }

  async rest(): Promise<void> {
    this.#isOver = true;
    await this.#working;
    while ([...this.#known.values()].some(({ isSending, calls }) => isSending || calls > 0)) {
      await pause(1);
    }
  }

  async report(): Promise<Report> {
    const entries = await this.node.registry.get<number>(things);
    return {
      node: this.node.id,
      port: this.#port.id,
      nodes: this.node.nodes(),
      got: Object.fromEntries(this.#got),
      known: Object.fromEntries(this.#known),
      set: Object.fromEntries(this.#set),
      seen: Object.fromEntries(
        [...entries].map(([key, { value, node }]) => [key, [value, node]]),
      ),
      answers: this.#answers,
    };
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#working;
    noteClosing(this.#plan, this.#port.id);
    this.#isClosing = true;
    await this.node.close();
  }
}
