/**
 * Imports the package without using it.
 *
 * @module
 */
import { Client, Server } from "../../mod.ts";

if (!Client || !Server) throw new Error("the package exports nothing");
