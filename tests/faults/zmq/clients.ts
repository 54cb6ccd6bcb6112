/**
 * Clients of ZeroMQ that know nothing of Tandem: those of the package `zeromq`, which works in Node only. Their only
 * argument is a {@linkcode LoadPlan}.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { Random } from "../chaos/random.ts";
import { args, greet, tell } from "../../fixtures/lib.ts";
import type { LoadPlan } from "./load.ts";

interface Socket {
  connect(endpoint: string): void;
  close(): void;
  send(frames: readonly (string | Uint8Array)[]): Promise<void>;
  receive(): Promise<Buffer[]>;
}
interface SocketOptions {
  readonly routingId?: string;
  readonly linger: number;
  readonly sendHighWaterMark: number;
  readonly receiveHighWaterMark: number;
  /** Infinity is -1. */
  readonly receiveTimeout: number;
}
type SocketClass = new (options: SocketOptions) => Socket;

const { Request, Dealer } = createRequire(import.meta.url)("zeromq") as {
  Request: SocketClass;
  Dealer: SocketClass;
};

/** A process that stands still for so long is not a proof of anything. */
const giveUpAfter = 120_000;

const plan = JSON.parse(args[0]!) as LoadPlan;
const random = new Random(plan.seed, 0);
const results: string[] = [];
let given = 0;

greet();
await Promise.all(Array.from({ length: plan.clients }, (_, number) => work(number)));
writeFileSync(plan.results, results.join(""));
tell({ calls: results.length });
process.exit();

interface Waiting {
  readonly text: string;
  attempts: number;
}

async function work(number: number): Promise<void> {
  const waiting = new Map<number, Waiting>();
  let socket = open(number);
  for (;;) {
    while (waiting.size < plan.outstanding && given < plan.calls) {
      const id = plan.first + given++;
      const call = { text: `${id} ${random.between(...plan.work)}`, attempts: 0 };
      waiting.set(id, call);
      await ask(socket, id, call);
    }
    if (waiting.size === 0) return socket.close();
    const frames = await socket.receive().catch((error: { code?: string }) => {
      if (error.code !== "EAGAIN") throw error;
      return null;
    });
    if (frames) {
      const again = end(waiting, frames);
      if (again !== null) await ask(socket, again, waiting.get(again)!);
      continue;
    }
    if (plan.patience === null) throw new Error("no answer comes any more");
    // As a pirate does: over a new connection, with everything that has no answer.
    socket.close();
    socket = open(number);
    for (const [id, call] of waiting) await ask(socket, id, call);
  }
}

function open(number: number): Socket {
  const socket = new (plan.form === "req" ? Request : Dealer)({
    ...plan.identity !== null && { routingId: `${plan.identity}-${number}` },
    linger: 0,
    sendHighWaterMark: 0,
    receiveHighWaterMark: 0,
    receiveTimeout: plan.patience === null ? giveUpAfter : random.between(...plan.patience),
  });
  socket.connect(plan.endpoint);
  return socket;
}

async function ask(socket: Socket, id: number, call: Waiting): Promise<void> {
  call.attempts += 1;
  const envelope = plan.form === "dealer" ? [String(id), ""] : [];
  await socket.send([...envelope, ...plan.idFrame ? [String(id)] : [], call.text]);
}

/** Returns the id of a call to ask for again; null: there is none. */
function end(waiting: Map<number, Waiting>, frames: Buffer[]): number | null {
  const parts = frames.map(String);
  const id = plan.form === "dealer" ? Number(parts.shift()) : [...waiting.keys()][0]!;
  const call = waiting.get(id);
  if (!call) {
    // A client that asks again may get the answer of each time; the id says that it knows it already.
    if (plan.patience) return null;
    throw new Error(`call ${id} was answered twice`);
  }
  if (plan.form === "dealer" && parts.shift() !== "") {
    throw new Error(`call ${id} was answered without an empty frame`);
  }
  if (plan.idFrame && parts.shift() !== String(id)) {
    throw new Error(`call ${id} was answered with another id`);
  }
  const [first, code] = parts as [string, string?];
  const isError = first === "TANDEM-ERROR";
  if (parts.length !== (isError ? 3 : 1) || (!isError && first.split(" ")[0] !== String(id))) {
    throw new Error(`call ${id} was answered with ${JSON.stringify(parts)}`);
  }
  if (isError && plan.retried.includes(code!)) return id;
  waiting.delete(id);
  results.push(`${id} ${call.attempts} ${isError ? code : "done"}\n`);
  return null;
}
