/**
 * Takes requests when the event loop of a Python program reports some. This process waits only for that
 * program, never for a request.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Server } from "@tandem/ipc";

using server = Server.open("example-foreign-event-loop");

const file = fileURLToPath(new URL("loop.py", import.meta.url));
const loop = spawn("python3", [file], { stdio: ["pipe", "pipe", "inherit", server.notifyFd] });

let answered = 0;
for await (const _line of createInterface({ input: loop.stdout! })) {
  for (const request of server.tryReceiveMany()) {
    if (request.oneWay) loop.stdin!.end(); // The client posts only the end.
    else answered += 1;
    request.reply(request.text().toUpperCase());
  }
  // If more requests have come meanwhile, the descriptor stays readable.
  server.drainNotify();
  if (loop.stdin!.writable) loop.stdin!.write("taken\n");
}

console.log(`${answered} requests answered`);
server.unlink();
