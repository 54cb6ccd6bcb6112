/**
 * The ledgers of a run, read when all players are gone: every call with all its deliveries.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import {
  ClientField,
  Head,
  headBytes,
  Ledger,
  recordWords,
  ServerField,
  ServerFlag,
  State,
} from "./ledger.ts";
import type { Player } from "./troupe.ts";

/** A player and its ledger. */
export interface Book {
  readonly player: Player;
  readonly ledger: Ledger;
  readonly count: number;
  /** Of a server: the index of its first record among the records of all servers. */
  readonly offset: number;
}

export interface CallName {
  readonly client: number;
  readonly number: number;
}

/** One call, as its client recorded it. */
export interface CallRecord extends CallName {
  readonly state: number;
  readonly form: number;
  readonly maxDeliveries: number;
  readonly length: number;
  readonly start: number;
  readonly flags: number;
  readonly outcome: number;
  readonly end: number;
  /** Null: its client does not know. */
  readonly id: number | null;
  /** Of the answer. */
  readonly server: number;
  readonly delivery: number;
}

/** One delivery, as its server recorded it. */
export interface DeliveryRecord {
  readonly server: Player;
  readonly record: number;
  readonly delivery: number;
  readonly id: number;
  readonly flags: number;
  readonly length: number;
  readonly hash: number;
  readonly outcome: number;
  readonly start: number;
  readonly end: number;
  /** Null: the request did not say, or the server could not look. */
  readonly call: CallName | null;
}

const none = 0xffffffff;

/** All ledgers. */
export class Books {
  readonly clients: Map<number, Book> = new Map();
  readonly servers: Book[] = [];
  /** Deliveries in all servers' ledgers. */
  readonly deliveryCount: number;
  /** Deliveries that belong to no known call. */
  readonly strangers: DeliveryRecord[] = [];
  /** By call, its last delivery so far; by delivery, the one before. */
  readonly #last: Map<number, Uint32Array> = new Map();
  readonly #before: Uint32Array;

  constructor(players: readonly Player[]) {
    let offset = 0;
    for (const player of players) {
      const book = readBook(player, offset);
      if (player.part.role === "client") {
        this.clients.set(player.part.id, book);
        this.#last.set(player.part.id, new Uint32Array(book.count).fill(none));
      } else {
        this.servers.push(book);
        offset += book.count;
      }
    }
    this.deliveryCount = offset;
    this.#before = new Uint32Array(offset).fill(none);
    this.#link();
  }

  /** Every recorded delivery of the run. */
  *deliveries(): Generator<[index: number, record: DeliveryRecord]> {
    for (const book of this.servers) {
      for (let record = 0; record < book.count; record++) {
        // Its server was killed between beginning and filling in the record: the delivery had no effect.
        if (book.ledger.get(record, ServerField.state) === State.none) continue;
        yield [book.offset + record, readHanded(book, record)];
      }
    }
  }

  call({ client, number }: CallName): CallRecord | null {
    const book = this.clients.get(client);
    return book && number < book.count ? readCall(book, number) : null;
  }

  /** The deliveries of a call, in order. */
  deliveriesOf({ client, number }: CallName): DeliveryRecord[] {
    const found: DeliveryRecord[] = [];
    let index = this.#last.get(client)?.[number] ?? none;
    for (; index !== none; index = this.#before[index]!) {
      const book = this.servers.findLast(({ offset }) => offset <= index)!;
      found.push(readHanded(book, index - book.offset));
    }
    return found.sort((a, b) => a.delivery - b.delivery);
  }

  /** Whether that can be a call's name. */
  #isKnown({ client, number }: CallName): boolean {
    return number < (this.clients.get(client)?.count ?? 0);
  }

  #link(): void {
    const named = this.#nameByIds();
    for (const [index, handed] of this.deliveries()) {
      const name = handed.call ?? named.get(handed.id);
      if (!name || !this.#isKnown(name)) {
        this.strangers.push(handed);
        continue;
      }
      const last = this.#last.get(name.client)!;
      this.#before[index] = last[name.number]!;
      last[name.number] = index;
    }
  }

  /** The calls of deliveries that say nothing but an id. */
  #nameByIds(): Map<number, CallName> {
    const wanted = new Set<number>();
    for (const [, { call, id }] of this.deliveries()) if (!call) wanted.add(id);
    const named = new Map<number, CallName>();
    for (const [client, book] of this.clients) {
      for (let number = 0; number < book.count; number++) {
        const id = callIdOf(book, number);
        if (id !== null && wanted.has(id)) named.set(id, { client, number });
      }
    }
    // Another server may have seen more of the request.
    for (const [, { call, id }] of this.deliveries()) {
      if (call && wanted.has(id)) named.set(id, call);
    }
    return named;
  }
}

/** Reads one ledger. */
export function readBook(player: Player, offset: number): Book {
  const count = player.head.get(Head.begun);
  // Only the part that the player has written: the rest of the file is a hole.
  const bytes = new Uint8Array(headBytes + count * recordWords * 4);
  const file = openSync(player.part.ledger, "r");
  for (let at = 0; at < bytes.length;) at += readSync(file, bytes, at, bytes.length - at, at);
  closeSync(file);
  return { player, ledger: new Ledger(bytes.buffer), count, offset };
}

/** One number for generation and slot. */
function idOf(generation: number, slot: number): number {
  return generation * 2 ** 16 + slot - 1;
}

function callIdOf({ ledger }: Book, number: number): number | null {
  const slot = ledger.get(number, ClientField.slot);
  return slot === 0 ? null : idOf(ledger.get(number, ClientField.generation), slot);
}

export function readCall(book: Book, number: number): CallRecord {
  const get = (field: number) => book.ledger.get(number, field);
  return {
    client: book.player.part.id,
    number,
    state: get(ClientField.state),
    form: get(ClientField.form),
    maxDeliveries: get(ClientField.maxDeliveries),
    length: get(ClientField.length),
    start: get(ClientField.start),
    flags: get(ClientField.flags),
    outcome: get(ClientField.outcome),
    end: get(ClientField.end),
    id: callIdOf(book, number),
    server: get(ClientField.server),
    delivery: get(ClientField.delivery),
  };
}

export function readHanded(book: Book, record: number): DeliveryRecord {
  const get = (field: number) => book.ledger.get(record, field);
  const client = get(ServerField.client);
  return {
    server: book.player,
    record,
    delivery: get(ServerField.delivery),
    id: idOf(get(ServerField.generation), get(ServerField.slot)),
    flags: get(ServerField.flags),
    length: get(ServerField.length),
    hash: get(ServerField.hash),
    outcome: get(ServerField.outcome),
    start: get(ServerField.start),
    end: get(ServerField.end),
    call: client === 0 ? null : { client, number: get(ServerField.number) },
  };
}

/** Whether the server could not look at the request's bytes. */
export function isUnreadable({ flags }: DeliveryRecord): boolean {
  return (flags & ServerFlag.unreadable) !== 0;
}
