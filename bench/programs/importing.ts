/**
 * Imports the package and does nothing with it.
 *
 * @module
 */
import { Client, Server } from "../../mod.ts";

if (!Client || !Server) throw new Error("The package is not there");
