/**
 * Imports the package and makes it load its native library.
 *
 * @module
 */
import { Server } from "../../mod.ts";

if (Server.unlink("./no-such-channel")) throw new Error("the channel exists");
