/**
 * Echoes frames through a Unix socket.
 *
 * @module
 */
import process from "node:process";
import { listen, tell } from "../lib/child.ts";
import { serveSocket } from "../lib/sockets.ts";

const [path = ""] = process.argv.slice(2);
serveSocket(path);
listen(() => {});
tell("ready");
