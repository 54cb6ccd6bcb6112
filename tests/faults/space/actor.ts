/**
 * A client or a server that takes one command a line and writes its outcome.
 *
 * Each line of stdin is JSON, a {@linkcode Step}; the answer is one line, a {@linkcode Outcome}.
 *
 * @module
 */
import process from "node:process";
import {
  type Call,
  Client,
  connect,
  type Draft,
  type ErrorCode,
  type Remote,
  serve,
  Server,
  type ServerRequest,
  TandemError,
} from "../../../mod.ts";
import { Node } from "../../../src/node/main.ts";
import { ZmqDoor, zmqRequestSync } from "../../../src/zmq/main.ts";
import type { ZmqDoorStats } from "../../../src/zmq/main.ts";
import { greet, onLine, tell, type Told, told } from "../../fixtures/lib.ts";

/** A command and its arguments. */
export type Step = readonly [what: keyof typeof operations, ...args: readonly unknown[]];

/** Its outcome. */
export type Outcome = { readonly value: unknown } | { readonly error: Told };

/** Long enough for every wait here. */
const timeout = 60_000;

let server: Server | undefined;
let client: Client | undefined;
const clients: Client[] = [];
const calls: Call[] = [];
let draft: Draft | undefined;
let request: ServerRequest | null = null;
let serving: Promise<void> | undefined;
const eaten: Uint8Array[] = [];

/** Bytes that contain their number and differ from position to position. */
function pattern(byteLength: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(byteLength).map((_, index) => (index * 7 + byteLength) & 255);
}

function isWhole(bytes: Uint8Array): boolean {
  const { byteLength } = bytes;
  return bytes.every((byte, index) => byte === ((index * 7 + byteLength) & 255));
}

/** The length of an answer whose bytes are right. */
function wholeLength(bytes: Uint8Array): number {
  if (!isWhole(bytes)) throw new Error(`${bytes.byteLength} bytes, and not those that were sent`);
  return bytes.byteLength;
}

/** Serves until the server closes, and goes on after corrupt requests. */
async function serveOn(
  server: Server,
  handler: (request: ServerRequest) => Uint8Array,
): Promise<void> {
  for (;;) {
    try {
      return await server.serve(handler);
    } catch (error) {
      if (!(error instanceof TandemError)) throw error;
      if (error.code === "CLOSED") return;
    }
  }
}

/** Offered where methods are called. */
const api = {
  add: (a: number, b: number): number => a + b,
  /** Items of these lengths. */
  async *pieces(lengths: readonly number[]): AsyncGenerator<Uint8Array> {
    for (const length of lengths) yield pattern(length);
  },
  async lengths(pieces: AsyncIterable<Uint8Array>): Promise<number[]> {
    const lengths: number[] = [];
    for await (const piece of pieces) lengths.push(wholeLength(piece));
    return lengths;
  },
  echo: (bytes: Uint8Array): Uint8Array => bytes,
};

let remote: Remote<typeof api> | undefined;
let stream: AsyncGenerator<Uint8Array, unknown, unknown> | undefined;
let door: ZmqDoor | undefined;
let node: Node | undefined;
/** The numbers that came last, by the nodes that have sent them. */
const got: Record<string, number> = {};

const operations = {
  create(target: string, options: object = {}): string | null {
    server = Server.create(target, options);
    return server.path;
  },
  openServer(target: string): string | null {
    server = Server.open(target);
    return server.path;
  },
  open(target: string, options: object = {}): string | null {
    client = Client.open(target, options);
    return client.path;
  },
  openMany(target: string, count: number): number {
    for (let left = count; left > 0; left--) clients.push(Client.open(target));
    return clients.length;
  },
  close(): void {
    server?.close();
    client?.close();
    for (const other of clients.splice(0)) other.close();
  },
  unlink(target: string): boolean {
    return Server.unlink(target);
  },
  stats(): object {
    return (server ?? client)!.stats();
  },

  /** Sends and keeps the call. */
  async send(form: "sync" | "promise" | "try", byteLength: number): Promise<number> {
    const payload = pattern(byteLength);
    const sent = form === "sync"
      ? client!.sendSync(payload, { timeout })
      : form === "promise"
      ? await client!.send(payload, { timeout })
      : client!.trySend(payload, { timeout });
    if (!sent) throw new Error("no slot is free");
    return calls.push(sent);
  },
  post(byteLength: number): boolean {
    return client!.post(pattern(byteLength));
  },
  /** Fills a draft and keeps it. */
  allocate(byteLength: number): void {
    draft = client!.allocate(byteLength);
    draft.bytes.set(pattern(byteLength));
  },
  sendDraft(): number {
    return calls.push(draft!.send({ timeout }));
  },
  /** A whole call; the server echoes. */
  async request(form: "sync" | "promise", byteLength: number): Promise<number> {
    const payload = pattern(byteLength);
    return wholeLength(
      form === "sync"
        ? client!.requestSync(payload, { timeout })
        : await client!.request(payload, { timeout }),
    );
  },
  /** The answer of the oldest call that was kept. */
  async get(): Promise<number> {
    return wholeLength(await calls.shift()!.get({ timeout }));
  },

  /** Takes a request and keeps it. */
  async receive(): Promise<{ byteLength: number; deliveries: number }> {
    request = await server!.receive({ timeout });
    return { byteLength: wholeLength(request!.bytes), deliveries: request!.deliveries };
  },
  reply(byteLength: number): boolean {
    return request!.reply(pattern(byteLength));
  },
  replyInPlace(byteLength: number): boolean {
    const response = request!.allocate(byteLength);
    response.set(pattern(byteLength));
    return request!.reply(response);
  },
  fail(messageLength: number): boolean {
    return request!.fail(new RangeError("x".repeat(messageLength)));
  },
  /** Answers from now on with that many bytes; 0: with the request. */
  serve(byteLength: number): void {
    serving = serveOn(server!, ({ bytes }) => byteLength ? pattern(byteLength) : bytes);
  },
  async stopServing(): Promise<void> {
    server!.close();
    await serving;
  },
  /** Takes and answers all that is there. */
  drain(): number[] {
    return server!.tryReceiveMany().map((request) => {
      const length = wholeLength(request.bytes);
      request.reply();
      return length;
    });
  },

  /** Looks at the tables and at payloads, and ignores the results. */
  async lookAround(count: number): Promise<number> {
    let errors = 0;
    for (let index = 0; index < count; index++) {
      const attempts = [
        () => client!.requestSync(pattern(index % 200), { timeout: 5 }),
        () => client!.request(pattern(index % 200), { timeout: 5 }),
        () => client!.stats(),
        () => client!.servers,
        () => client!.cancel(BigInt(index)),
        () => client!.cancel(BigInt(index) << 46n),
      ];
      for (const attempt of attempts) {
        try {
          await attempt();
        } catch (error) {
          if (!(error instanceof TandemError)) throw error;
          errors += 1;
        }
      }
    }
    return errors;
  },

  serveMethods(target: string): void {
    serve(target, api);
  },
  connect(target: string): void {
    remote = connect<typeof api>(target, { timeout });
  },
  add(): Promise<number> {
    return remote!.add(1, 2);
  },
  /** Begins with a stream, and reads its first item. */
  stream(...lengths: readonly number[]): Promise<number> {
    stream = remote!.pieces(lengths);
    return operations.item();
  },
  async item(): Promise<number> {
    const { value } = await stream!.next();
    return wholeLength(value as Uint8Array);
  },
  async lend(...lengths: readonly number[]): Promise<number> {
    const lent = async function* () {
      for (const length of lengths) yield pattern(length);
    };
    return (await remote!.lengths(lent())).length;
  },
  async echo(byteLength: number): Promise<number> {
    return wholeLength(await remote!.echo(pattern(byteLength)));
  },

  async openDoor(target: string): Promise<void> {
    door = new ZmqDoor({ target, frontend: "tcp://127.0.0.1:0" });
    await door.ready;
  },
  doorStats(): ZmqDoorStats {
    return door!.stats();
  },
  /** A call through the door; it blocks the thread. */
  ask(byteLength: number): number {
    const payload = pattern(byteLength);
    const frames = zmqRequestSync(door!.endpoint, payload, { timeout, attempts: 1 });
    if (!frames) throw new Error("there is no answer");
    if (frames.length === 1) return wholeLength(frames[0]!);
    const [, code, message] = frames.map((frame) => new TextDecoder().decode(frame));
    throw new TandemError(code as ErrorCode, message!);
  },

  /** Joins the nodes, and has a port that everybody finds. */
  async startNode(): Promise<string> {
    node = await Node.start({ name: "space" });
    const port = node.port({
      number(from: string, n: number) {
        if (n !== (got[from] ?? 0) + 1) throw new Error(`${n} comes after ${got[from]}`);
        got[from] = n;
      },
    });
    node.registry.register("ports", port);
    return node.id;
  },
  nodes(): readonly string[] {
    return node!.nodes();
  },
  /** An entry of the registry. */
  set(key: string, byteLength: number): void {
    node!.registry.set("things", key, new Uint8Array(byteLength));
  },
  keys(): Promise<string[]> {
    return node!.registry.keys("things");
  },
  async claim(key: string): Promise<void> {
    if (await node!.registry.claim("keys", key, null) === null) throw new Error("another has it");
  },
  /** Sends the numbers from here to there to the others. */
  async count(from: number, to: number): Promise<void> {
    for (const port of await node!.registry.keys("ports")) {
      if (node!.isLocal(port)) continue;
      for (let n = from; n <= to; n++) node!.send(port, "number", node!.id, n);
    }
  },
  got(): Record<string, number> {
    return got;
  },
  closeNode(): Promise<void> {
    return node!.close();
  },

  /** Takes memory until it is killed. */
  eatMemory(): never {
    for (;;) eaten.push(new Uint8Array(1 << 20).fill(1));
  },
};

for (const event of ["unhandledRejection", "uncaughtException"] as const) {
  process.on(event, (error: unknown) => {
    console.error(event, error);
    process.exit(70);
  });
}
greet();
let queue = Promise.resolve();
onLine((line) => {
  queue = queue.then(async () => {
    const [what, ...rest] = JSON.parse(line) as Step;
    const operation = operations[what] as (...args: readonly unknown[]) => unknown;
    try {
      tell({ value: await operation(...rest) ?? null });
    } catch (error) {
      tell({ error: told(error) });
    }
  });
}, () => process.exit(0));
