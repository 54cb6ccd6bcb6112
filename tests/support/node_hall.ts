/** A node's place in the hall, and what it has seen of the others, for tests and for the programs they start. */
import type { CarrierListener, NodeInfo } from "../../src/node/carrier.ts";
import { Hall, type HallTerms } from "../../src/node/hall/hall.ts";
import { ownId } from "../../src/node/hall/own_id.ts";

/** Something that a node was told, in the order in which it was told. */
export type Seen =
  | { readonly what: "up"; readonly node: string }
  /** Numbered messages that came one after another, each one more than the one before. */
  | { readonly what: "messages"; readonly node: string; readonly from: number; to: number }
  | { readonly what: "text"; readonly node: string; readonly text: string }
  | { readonly what: "down"; readonly node: string; readonly farewell: boolean }
  | { readonly what: "lost"; readonly node: string; readonly kind: string };

const numberMark = 1;
const textMark = 2;

/** A message that carries a number, and is as long as is said. */
export function numbered(number: number, byteLength: number = 100): Uint8Array {
  const message = new Uint8Array(byteLength);
  message[0] = numberMark;
  new DataView(message.buffer).setUint32(1, number, true);
  // So that a message that was put together wrongly is noticed.
  if (byteLength > 8) message[byteLength - 1] = number & 0xff;
  return message;
}

export function worded(text: string): Uint8Array {
  return new TextEncoder().encode(`${String.fromCharCode(textMark)}${text}`);
}

export class Witness implements CarrierListener {
  readonly seen: Seen[] = [];
  readonly infos: Map<string, NodeInfo> = new Map();

  received(node: string, message: Uint8Array): void {
    if (message[0] !== numberMark) {
      this.seen.push({ what: "text", node, text: new TextDecoder().decode(message.subarray(1)) });
      return;
    }
    const { buffer, byteOffset, byteLength } = message;
    const number = new DataView(buffer, byteOffset).getUint32(1, true);
    if (byteLength > 8 && message[byteLength - 1] !== (number & 0xff)) throw new Error("damaged");
    const last = this.seen.at(-1);
    if (last?.what === "messages" && last.node === node && last.to + 1 === number) last.to = number;
    else this.seen.push({ what: "messages", node, from: number, to: number });
  }

  up(info: NodeInfo): void {
    this.infos.set(info.id, info);
    this.seen.push({ what: "up", node: info.id });
  }

  down({ id }: NodeInfo, farewell: boolean): void {
    this.seen.push({ what: "down", node: id, farewell });
  }

  lost({ id }: NodeInfo, kind: string): void {
    this.seen.push({ what: "lost", node: id, kind });
  }

  /** What it was told of one node. */
  of(node: string): Seen[] {
    return this.seen.filter((each) => each.node === node);
  }

  /** The numbers that came from a node, in runs without holes. */
  runs(node: string): [from: number, to: number][] {
    const runs: [number, number][] = [];
    for (const each of this.of(node)) {
      if (each.what !== "messages") continue;
      const last = runs.at(-1);
      if (last && last[1] + 1 === each.from) last[1] = each.to;
      else runs.push([each.from, each.to]);
    }
    return runs;
  }

  /** The last number that came from a node; 0: none. */
  lastOf(node: string): number {
    return this.runs(node).at(-1)?.[1] ?? 0;
  }

  has(what: Seen["what"], node: string): boolean {
    return this.seen.some((each) => each.what === what && each.node === node);
  }
}

/** What a test may choose of a node. */
export interface Chosen extends Partial<Omit<HallTerms, "identity">> {
  readonly id?: string;
}

/** Joins with usual terms. The id is the name, and no other node may have it. */
// deno-lint-ignore require-await -- what it throws rejects the promise
export async function join(
  group: string,
  name: string,
  listener: CarrierListener,
  { id = name, ...terms }: Chosen = {},
): Promise<Hall> {
  const lock = terms.isChosenId ? ownId(group, id, terms.mode) : null;
  const release = () => lock?.release();
  return new Hall(
    {
      group,
      identity: { id, name, start: "test" },
      isChosenId: false,
      maxQueue: 10_000,
      maxQueueBytes: 2 ** 24,
      maxMessageBytes: 2 ** 24,
      ...terms,
    },
    listener,
    { left: release, removed: release },
  );
}
