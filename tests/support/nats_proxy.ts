/**
 * A way to a NATS server on which single messages are lost, in either direction, or all that clients send is held up for
 * a while. Only messages are lost: each `PUB` or `MSG`, with or without headers, with its payload.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** Whether a message is lost. */
export type Loses = (subject: string, payload: Uint8Array) => boolean;

/** `PUB` and `HPUB` go to the server, `MSG` and `HMSG` come from it. */
const messages: ReadonlySet<string> = new Set(["PUB", "HPUB", "MSG", "HMSG"]);

export class NatsProxy implements AsyncDisposable {
  /** Of what clients publish. */
  readonly losses: Set<Loses> = new Set();
  /** Of what the server delivers. */
  readonly deliveryLosses: Set<Loses> = new Set();
  /** How many connections there were so far. */
  connections = 0;
  /** Messages in both directions so far. */
  seen = 0;
  /** The number of the one that is lost, from 1 on; 0: none is. */
  lost = 0;
  /** How long what clients send is on its way, in milliseconds. */
  delay = 0;
  /** What clients publish waits. */
  #isHeld = false;
  readonly #waiting: (() => void)[] = [];
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(serverPort: number) {
    this.#server = createServer((client) => this.#serve(client, serverPort));
  }

  static async start(serverPort: number): Promise<NatsProxy> {
    const proxy = new NatsProxy(serverPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const pass of this.#waiting.splice(0)) pass();
  }

  /** Cuts all connections. New ones work. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(client: Socket, port: number): void {
    const server = connect(port, "127.0.0.1");
    this.connections += 1;
    const passTo = (socket: Socket) => {
      let rest = Buffer.alloc(0);
      return (chunk: Buffer) => {
        rest = this.#passOn(Buffer.concat([rest, chunk]), socket);
      };
    };
    const pass = passTo(server);
    client.on("data", (chunk: Buffer) => {
      if (this.#isHeld) this.#waiting.push(() => pass(chunk));
      else if (this.delay > 0) setTimeout(() => pass(chunk), this.delay);
      else pass(chunk);
    });
    server.on("data", passTo(client));
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }

  /** Passes on all messages that are whole; returns the rest. */
  #passOn(bytes: Buffer, receiver: Socket): Buffer<ArrayBuffer> {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf("\r\n", at);
      if (end < 0) break;
      const words = bytes.subarray(at, end).toString("latin1").split(" ");
      let next = end + 2;
      let isLost = false;
      const [verb = "", subject = ""] = words;
      if (messages.has(verb)) {
        next += Number(words.at(-1)) + 2;
        if (next > bytes.byteLength) break;
        const payload = bytes.subarray(end + 2, next - 2);
        const losses = verb.endsWith("PUB") ? this.losses : this.deliveryLosses;
        isLost = (this.seen += 1) === this.lost ||
          [...losses].some((loses) => loses(subject, payload));
      }
      if (!isLost && !receiver.destroyed) receiver.write(bytes.subarray(at, next));
      at = next;
    }
    return Buffer.from(bytes.subarray(at));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
