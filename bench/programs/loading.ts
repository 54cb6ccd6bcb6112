/**
 * Imports the package and has it load its native library.
 *
 * @module
 */
import { Server } from "../../mod.ts";

if (Server.unlink("./no-such-channel")) throw new Error("There was a channel here");
