/**
 * The contender: a Unix socket of the runtime's own, through its own interface, echoing frames of
 * four bytes of length and the payload, one frame outstanding.
 *
 * @module
 */
import { thisRuntime } from "./runtimes.ts";

// The parts of the runtimes that are used, declared here so that the file type-checks under both.
interface BunSocket {
  write(bytes: Uint8Array): number;
}

interface BunHandler {
  data(socket: BunSocket, bytes: Uint8Array): void;
}

interface BunGlobal {
  listen(options: { unix: string; socket: BunHandler }): unknown;
  connect(options: { unix: string; socket: BunHandler }): Promise<BunSocket>;
}

interface DenoConnection {
  read(bytes: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

interface DenoGlobal {
  listen(options: { transport: "unix"; path: string }): AsyncIterable<DenoConnection>;
  connect(options: { transport: "unix"; path: string }): Promise<DenoConnection>;
}

const { Bun, Deno } = globalThis as unknown as { Bun: BunGlobal; Deno: DenoGlobal };

/** One connection. */
export interface SocketClient {
  /** Sends the frame again and again for that long; answers how often it was echoed a second. */
  run(ms: number): Promise<number>;
}

/** Echoes frames to all who connect to `path`, for the rest of the process. */
export function serveSocket(path: string): void {
  if (thisRuntime === "deno") void acceptInDeno(path);
  else {Bun.listen({
      unix: path,
      socket: { data: (socket, chunk) => socket.write(checked(chunk)) },
    });}
}

/** Connects to `path`, to send frames with that payload. */
export async function connectSocket(path: string, payload: Uint8Array): Promise<SocketClient> {
  const frame = new Uint8Array(4 + payload.byteLength);
  new DataView(frame.buffer).setUint32(0, payload.byteLength, true);
  frame.set(payload, 4);
  return thisRuntime === "deno"
    ? new DenoClient(await Deno.connect({ transport: "unix", path }), frame)
    : await connectInBun(path, frame);
}

/**
 * With one frame outstanding each read is one frame; all that is left to do is to say if it is not.
 */
function checked(chunk: Uint8Array): Uint8Array {
  const length = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength).getUint32(0, true);
  if (chunk.byteLength !== 4 + length) throw new Error("The socket did not deliver whole frames");
  return chunk;
}

async function acceptInDeno(path: string): Promise<void> {
  for await (const connection of Deno.listen({ transport: "unix", path })) {
    void echoInDeno(connection);
  }
}

async function echoInDeno(connection: DenoConnection): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (let length = await connection.read(buffer); length;) {
    await connection.write(checked(buffer.subarray(0, length)));
    length = await connection.read(buffer);
  }
}

class DenoClient implements SocketClient {
  readonly #connection: DenoConnection;
  readonly #frame: Uint8Array;

  constructor(connection: DenoConnection, frame: Uint8Array) {
    this.#connection = connection;
    this.#frame = frame;
  }

  async run(ms: number): Promise<number> {
    const buffer = new Uint8Array(4096);
    const begin = performance.now();
    for (let rounds = 1;; rounds++) {
      await this.#connection.write(this.#frame);
      checked(buffer.subarray(0, await this.#connection.read(buffer) ?? 0));
      const elapsed = performance.now() - begin;
      if (elapsed >= ms) return rounds / elapsed * 1e3;
    }
  }
}

/** Counts in the callback, without a promise for each round: what Bun does best. */
async function connectInBun(path: string, frame: Uint8Array): Promise<SocketClient> {
  let onFrame = (): void => {};
  const socket = await Bun.connect({
    unix: path,
    socket: {
      data: (_, chunk) => {
        checked(chunk);
        onFrame();
      },
    },
  });
  return {
    run: (ms) =>
      new Promise((resolve) => {
        let rounds = 0;
        const begin = performance.now();
        onFrame = () => {
          const elapsed = performance.now() - begin;
          rounds++;
          if (elapsed >= ms) resolve(rounds / elapsed * 1e3);
          else socket.write(frame);
        };
        socket.write(frame);
      }),
  };
}
