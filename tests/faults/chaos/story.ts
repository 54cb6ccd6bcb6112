/**
 * All records about one call, for the analysis of a failure.
 *
 * @module
 */
import {
  type Books,
  type CallName,
  type CallRecord,
  type DeliveryRecord,
  readBook,
  readCall,
  readHanded,
} from "./books.ts";
import { formNames } from "./client_player.ts";
import { DeliveryOutcome, nameOf, Outcome, State } from "./ledger.ts";
import type { Player } from "./troupe.ts";

/** Several lines. */
export function describeCall(books: Books, name: CallName): string {
  const call = books.call(name);
  const title = books.clients.get(name.client)?.player.title ?? `client ${name.client}`;
  if (!call) return `    call ${name.number} of ${title}, which has none`;
  const lines = [
    `of ${title}:`,
    describeBegin(call),
    ...books.deliveriesOf(name).map(describeDelivery),
    call.end === 0 ? `no end: ${books.clients.get(name.client)!.player.fate}` : describeEnd(call),
  ];
  return lines.map((line) => `    ${line}`).join("\n");
}

function describeBegin(call: CallRecord): string {
  return `${call.start} ms: call ${call.number} begins, ${
    formNames[call.form]
  }, ${call.length} bytes, ` +
    `deliveries up to ${call.maxDeliveries}, flags ${call.flags}, id ${call.id}`;
}

function describeEnd(call: CallRecord): string {
  return `${call.end} ms: ${nameOf(Outcome, call.outcome)}, server ${call.server}, ` +
    `delivery ${call.delivery}`;
}

/** The last records of a living player, and its open ones. */
export function tailOf(player: Player): string[] {
  const book = readBook(player, 0);
  const lines: string[] = [];
  for (let record = 0; record < book.count; record++) {
    const isRecent = record >= book.count - 5;
    if (player.part.role === "client") {
      const call = readCall(book, record);
      const isOpen = call.state === State.begun;
      if (isRecent || isOpen) {
        lines.push(`${describeBegin(call)}; ${isOpen ? "open" : describeEnd(call)}`);
      }
    } else {
      const handed = readHanded(book, record);
      if (isRecent || handed.end === 0) lines.push(describeDelivery(handed));
    }
  }
  return lines.map((line) => `    ${line}`);
}

function describeDelivery(handed: DeliveryRecord): string {
  const { server, record, delivery, start, end, outcome, id, flags } = handed;
  return `${start} ms: delivery ${delivery} to ${server.title}, ${server.fate}, record ${record}, ` +
    `id ${id}, flags ${flags}; ${end || "never"}: ${nameOf(DeliveryOutcome, outcome)}`;
}
