/**
 * As `importing.ts`, of what the npm package holds. Argument: its folder.
 *
 * @module
 */
import process from "node:process";

const { Client, Server } = await import(`${process.argv[2]}/mod.js`);
if (!Client || !Server) throw new Error("The package is not there");
