/**
 * A door between ZeroMQ clients and a channel.
 *
 *     door.ts TARGET
 *
 * @module
 */
import process from "node:process";
import { listen, report } from "../lib/child.ts";
import { ZmqDoor } from "../../src/zmq/main.ts";
import { anyPort } from "./endpoint.ts";

const [target = ""] = process.argv.slice(2);
const door = new ZmqDoor({ target, frontend: anyPort });
listen(() => {});
await door.ready;
report({ address: door.endpoint });
await door.finished;
