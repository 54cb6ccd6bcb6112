/**
 * A process whose node keeps account of numbered messages, and of the ends of their senders.
 *
 *     keeper.ts PLAN
 *
 * It tells its port's id. Commands: `{ of: PORT }` asks for the account of a sender's port.
 *
 * @module
 */
import { Node, type PortId } from "../../../src/node/main.ts";
import { tell } from "../../fixtures/lib.ts";
import { begin, fault, isEnding, obey } from "./program.ts";

/** What the flooders call. */
export interface Keeper {
  /** Watches a sender. Its messages come after the answer. */
  expect(port: PortId, pid: number): void;
  number(port: PortId, n: number): void;
}

/** What is known of a sender. */
export interface Account {
  readonly pid: number;
  /** The number that came last. */
  last: number;
  /** What ended it, and the number that came last before the monitor fired. */
  readonly notices: {
    readonly of: "port" | "node";
    readonly kind: string;
    readonly last: number;
  }[];
}

const { group } = begin();
const node = await Node.start({ name: "keeper", group });
const accounts = new Map<string, Account>();

const port = node.port<Keeper>({
  expect(sender, pid) {
    const account: Account = { pid, last: 0, notices: [] };
    accounts.set(sender, account);
    const watched = { port: sender, node: node.nodeOf(sender) };
    for (const  of of["port", "node"] as const) {
      node.monitor(watched[of], ({ kind }) => {
        if (!isEnding(pid)) fault(`the monitor of a living ${of} has fired: ${kind}`);
        account.notices.push({ of, kind, last: account.last });
      });
    }
  },
  number(sender, n) {
    const account = accounts.get(sender);
    if (!account) return fault(`a message of an unknown sender: ${sender}`);
    if (n !== account.last + 1) fault(`message ${n} of ${sender} comes after ${account.last}`);
    if (account.notices.length > 0) fault(`message ${n} of ${sender} comes after its end`);
    account.last = n;
  },
}, { maxQueue: 2 ** 30 });
tell(port.id);
obey<{ of: string }>(({ of }) => accounts.get(of));
