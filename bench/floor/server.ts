/**
 * Echoes 12 bytes through a channel, blocking its thread.
 *
 * @module
 */
import process from "node:process";
import { Server } from "../../mod.ts";
import { tell } from "../lib/child.ts";

const [target = ""] = process.argv.slice(2);
using server = Server.open(target);
tell("ready");
// A blocked thread does not hear that the parent is gone. Pauses between slices are far shorter.
server.serveSync((request) => request.bytes, { idleTimeout: 20_000 });
