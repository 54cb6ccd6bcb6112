/** What a handler learns of a client behind a Unix socket. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { Server } from "../../mod.ts";
import { libzmq } from "../../src/zmq/libzmq.ts";
import { ZmqDoor } from "../../src/zmq/main.ts";
import { ZmqSocket } from "../../src/zmq/socket.ts";
import { eventually, folder, newTarget, test } from "../support/harness.ts";

test("a client behind a Unix socket: its address has the ids of user, group and process", async () => {
  const server = Server.open(newTarget());
  const serving = server.serve(({ peer }) => peer.address);
  const frontend = `ipc://${folder()}/door`;
  const door = new ZmqDoor({ target: server.path!, frontend });
  const zmq = libzmq();
  const context = zmq.zmq_ctx_new();
  const client = new ZmqSocket(context, "req");
  try {
    await door.ready;
    client.connect(frontend);
    client.send([new TextEncoder().encode("who am I?")]);
    const answer = new Uint8Array(256);
    let length = -1;
    await eventually(
      () => (length = client.receive(answer, BigInt(answer.byteLength))) >= 0,
      "an answer",
    );
    const ids = [process.getuid!(), process.getgid!(), process.pid].join(":");
    assertEquals(new TextDecoder().decode(answer.subarray(0, length)), `ipc:${ids}`);
  } finally {
    client.close();
    zmq.zmq_ctx_term(context);
    await door.close();
    server.close();
    await serving;
  }
});
