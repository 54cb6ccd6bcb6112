/**
 * One end of the one-way stream that `one_way.ts` measures.
 *
 *     end.ts hall receive GROUP | hall send GROUP COUNT BYTES
 *     end.ts nats receive URL   | nats send URL COUNT BYTES
 *
 * The receiver reports when it is ready, and after each run how long it took from the first message to the last,
 * and what was wrong. The sender sends when it is told to.
 *
 * @module
 */
import process from "node:process";
import { joinNearNodes, type NearCarrier } from "../../src/node/hall/near_nodes.ts";
import type { CarrierListener } from "../../src/node/carrier.ts";
import { installed } from "../contenders/packages.ts";
import { listen, report } from "../lib/child.ts";

/** What a receiver reports of one run. */
export interface Run {
  readonly messages: number;
  readonly ms: number;
  readonly outOfOrder: number;
}

interface Connection {
  publish(subject: string, data: Uint8Array): void;
  flush(): Promise<void>;
  subscribe(
    subject: string,
    options: { callback(error: unknown, message: { readonly data: Uint8Array }): void },
  ): void;
}

interface Nats {
  connect(options: { servers: string }): Promise<Connection>;
}

const subject = "one-way";
/** So many messages between looks whether there is room. */
const burst = 500;

/** Counts messages that begin with their number, the last of a run with 0. */
class Counter {
  #expected = 1;
  #began = 0;
  #outOfOrder = 0;

  readonly count = (message: Uint8Array): void => {
    const number = message[0]! | (message[1]! << 8) | (message[2]! << 16) | (message[3]! << 24);
    if (this.#expected === 1) this.#began = performance.now();
    if (number === this.#expected) {
      this.#expected += 1;
      return;
    }
    if (number !== 0) {
      this.#outOfOrder += 1;
      this.#expected = number + 1;
      return;
    }
    const ms = performance.now() - this.#began;
    report({ messages: this.#expected, ms, outOfOrder: this.#outOfOrder } satisfies Run);
    this.#expected = 1;
    this.#outOfOrder = 0;
  };
}

const [way, role, address = "", count = "0", bytes = "100"] = process.argv.slice(2);
const numbers = Number(count);
const message = new Uint8Array(Number(bytes));

function numbered(number: number): Uint8Array {
  message[0] = number;
  message[1] = number >> 8;
  message[2] = number >> 16;
  message[3] = number >> 24;
  return message;
}

const silent: CarrierListener = { received() {}, up() {}, down() {}, lost() {} };

function join(name: string, listener: CarrierListener): NearCarrier {
  return joinNearNodes({
    group: address,
    identity: { id: `${name}@bench`, name, start: "bench" },
    isChosenId: false,
    maxQueue: 10_000,
    maxQueueBytes: 2 ** 24,
    maxMessageBytes: 2 ** 24,
  }, listener);
}

function hallReceive(): void {
  const counter = new Counter();
  join("receiver", { ...silent, received: (_, message) => counter.count(message) });
  report("ready");
  listen(() => {});
}

function hallSend(): void {
  const hall = join("sender", {
    ...silent,
    lost: (node, kind, text) => console.error(node, kind, text),
  });
  const [receiver] = hall.nodes();
  const { id } = receiver!;
  report("ready");
  listen(() => void run());
  async function run(): Promise<void> {
    for (let number = 1; number <= numbers; number++) {
      hall.send(id, numbered(number));
      if (number % burst === 0 && hall.queued(id).messages >= 5_000) await hall.whenRoom(id);
    }
    hall.send(id, numbered(0));
  }
}

async function natsReceive(): Promise<void> {
  const counter = new Counter();
  const connection = await connect();
  connection.subscribe(subject, { callback: (_, { data }) => counter.count(data) });
  await connection.flush();
  report("ready");
  listen(() => {});
}

async function natsSend(): Promise<void> {
  const connection = await connect();
  report("ready");
  listen(() => void run());
  async function run(): Promise<void> {
    for (let number = 1; number <= numbers; number++) {
      // It keeps the array until it is sent.
      connection.publish(subject, numbered(number).slice());
      // Its client has no other back-pressure.
      if (number % 5_000 === 0) await connection.flush();
    }
    connection.publish(subject, numbered(0).slice());
    await connection.flush();
  }
}

function connect(): Promise<Connection> {
  return installed<Nats>("@nats-io/transport-node").connect({ servers: address });
}

if (way === "hall") await (role === "receive" ? hallReceive() : hallSend());
else await (role === "receive" ? natsReceive() : natsSend());
