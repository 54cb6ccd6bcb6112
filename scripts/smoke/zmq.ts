/** A door, and a client of ZeroMQ that asks through it; prints the answer. */
import { execFile } from "node:child_process";
import process from "node:process";
import { Server } from "@tandem/ipc";
import { ZmqDoor } from "@tandem/ipc/zmq";

const server = Server.open("smoke-zmq");
const serving = server.serve((request) => `${request.text()} from ${request.peer.address}`);
const door = new ZmqDoor({ target: "smoke-zmq", frontend: "tcp://127.0.0.1:0" });
await door.ready;
const runtime = "Deno" in globalThis ? ["run", "-A"] : [];
const client = ["node_modules/.bin/tandem", "zmq", "call", "-t", "600", "-e", door.endpoint];
await new Promise<void>((resolve, reject) => {
  execFile(process.execPath, [...runtime, ...client, "hello"], (error, output) => {
    if (error) return reject(error);
    console.log(output);
    resolve();
  });
});
await door.close();
server.unlink();
server.close();
await serving;
