/**
 * A worker of the broker. A `REP` socket takes one request at a time, as in the ZeroMQ guide; a `DEALER` takes the
 * next one while answers are on their way.
 *
 *     worker.ts rep|dealer ENDPOINT
 *
 * @module
 */
import process from "node:process";
import { Dealer, Reply } from "zeromq";
import { listen, report } from "../lib/child.ts";

const [kind = "", endpoint = ""] = process.argv.slice(2);
const socket = kind === "rep" ? new Reply() : new Dealer();
socket.connect(endpoint);
listen(() => {});
report("ready");
for await (const frames of socket) await socket.send(frames);
