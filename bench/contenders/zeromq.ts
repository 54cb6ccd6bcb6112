/**
 * ZeroMQ between a DEALER and a ROUTER over a Unix socket. The package works only in Node: in Bun it ends
 * the process, in Deno the answers do not arrive.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { Queue } from "./frames.ts";
import { installed } from "./packages.ts";

interface ZmqSocket extends AsyncIterable<Uint8Array[]> {
  bind(address: string): Promise<void>;
  connect(address: string): void;
  send(message: readonly Uint8Array[] | Uint8Array): Promise<void>;
}

interface Zmq {
  readonly Dealer: new () => ZmqSocket;
  readonly Router: new () => ZmqSocket;
}

export const contender: Contender = {
  async serve(path, ready) {
    const socket = new (installed<Zmq>("zeromq").Router)();
    const address = `ipc://${path}`;
    await socket.bind(address);
    ready(address);
    for await (const message of socket) await socket.send(message);
  },
  connect(address) {
    const socket = new (installed<Zmq>("zeromq").Dealer)();
    socket.connect(address);
    const waiting = new Queue<(answer: Uint8Array) => void>();
    const unsent = new Queue<Uint8Array>();
    let isSending = false;
    // A socket sends one message at a time.
    const send = async (): Promise<void> => {
      isSending = true;
      while (!unsent.isEmpty) await socket.send(unsent.take());
      isSending = false;
    };
    void (async () => {
      for await (const [answer] of socket) waiting.take()(answer!);
    })();
    return {
      call: (payload) => {
        unsent.add(payload);
        if (!isSending) void send();
        return new Promise((resolve) => waiting.add(resolve));
      },
    };
  },
};
