/**
 * A Unix socket through the runtime's own interface: `Bun.listen` and `Bun.connect`, `Deno.listen`
 * and `Deno.connect`. Node's own is `node:net`.
 *
 * @module
 */
import { thisRuntime } from "../lib/runtimes.ts";
import type { Connection, Contender } from "./contender.ts";
import { callFrames, echoFrames, type End, type Write } from "./frames.ts";
import { contender as throughNet } from "./unix_net.ts";

// The parts of the runtimes that are used, declared here so that the file type-checks under both.
interface BunSocket<Data> {
  data: Data;
  write(bytes: Uint8Array): number;
}

interface BunHandler<Data> {
  open?(socket: BunSocket<Data>): void;
  data(socket: BunSocket<Data>, bytes: Uint8Array): void;
  drain(socket: BunSocket<Data>): void;
}

interface BunGlobal {
  listen<Data>(options: { unix: string; socket: BunHandler<Data> }): unknown;
  connect<Data>(options: {
    unix: string;
    data: Data;
    socket: BunHandler<Data>;
  }): Promise<BunSocket<Data>>;
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

/** The handlers of a socket: for received bytes, and for room to write. */
interface BunEnd {
  end: End;
  drain: () => void;
}

const own: Contender = {
  serve(path, ready) {
    if (thisRuntime === "bun") serveInBun(path);
    else void serveInDeno(path);
    ready(path);
  },
  connect: (path) => thisRuntime === "bun" ? connectInBun(path) : connectInDeno(path),
};

export const contender: Contender = thisRuntime === "node" ? throughNet : own;

function serveInBun(path: string): void {
  Bun.listen<BunEnd>({
    unix: path,
    socket: {
      open(socket) {
        const writer = bunWriter(() => socket);
        socket.data = { end: echoFrames(writer.write), drain: writer.drain };
      },
      data: ({ data }, chunk) => data.end.push(chunk),
      drain: ({ data }) => data.drain(),
    },
  });
}

async function connectInBun(path: string): Promise<Connection> {
  const writer = bunWriter(() => socket);
  const frames = callFrames(writer.write);
  const socket = await Bun.connect<BunEnd>({
    unix: path,
    data: { end: frames, drain: writer.drain },
    socket: {
      data: ({ data }, chunk) => data.end.push(chunk),
      drain: ({ data }) => data.drain(),
    },
  });
  return frames;
}

/** Writes as much as the kernel takes, and the rest when there is room. */
function bunWriter(socket: () => BunSocket<BunEnd>): { write: Write; drain: () => void } {
  let rest: Uint8Array = new Uint8Array(0);
  let whenDone: (() => void) | null = null;
  const drain = (): void => {
    if (!whenDone) return;
    rest = rest.subarray(Math.max(0, socket().write(rest)));
    if (rest.byteLength > 0) return;
    const done = whenDone;
    whenDone = null;
    done();
  };
  const write: Write = (bytes, done) => {
    rest = bytes;
    whenDone = done;
    drain();
  };
  return { write, drain };
}

async function serveInDeno(path: string): Promise<void> {
  for await (const connection of Deno.listen({ transport: "unix", path })) {
    void read(connection, echoFrames(denoWrite(connection)));
  }
}

async function connectInDeno(path: string): Promise<Connection> {
  const connection = await Deno.connect({ transport: "unix", path });
  const frames = callFrames(denoWrite(connection));
  void read(connection, frames);
  return frames;
}

function denoWrite(connection: DenoConnection): Write {
  return async (bytes, done) => {
    for (let rest = bytes; rest.byteLength > 0;) {
      rest = rest.subarray(await connection.write(rest));
    }
    done();
  };
}

async function read(connection: DenoConnection, end: End): Promise<void> {
  for (;;) {
    // A new buffer each time, because callers get their answers in place.
    const buffer = new Uint8Array(64 * 1024);
    const length = await connection.read(buffer);
    if (length === null) return;
    end.push(buffer.subarray(0, length));
  }
}
