/**
 * A Unix socket through `node:net`, which every runtime has.
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import type { Contender } from "./contender.ts";
import { callFrames, echoFrames, type Write } from "./frames.ts";

export const contender: Contender = {
  serve(path, ready) {
    const server = createServer((socket) => {
      const end = echoFrames(writeTo(socket));
      socket.on("data", (chunk: Uint8Array) => end.push(chunk));
      socket.on("error", () => {}); // the client was killed
    });
    server.listen(path, () => ready(path));
  },
  async connect(path) {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const frames = callFrames(writeTo(socket));
    socket.on("data", (chunk: Uint8Array) => frames.push(chunk));
    return frames;
  },
};

/** The socket keeps bytes that the kernel does not take yet, so it gets a copy. */
function writeTo(socket: Socket): Write {
  return (bytes, done) => {
    socket.write(bytes.slice());
    done();
  };
}
