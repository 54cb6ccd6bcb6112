/**
 * A worker of workerpool, which offers named functions.
 */
import { createRequire } from "node:module";
import echo, { crash } from "./task.js";

const folder = new URL("../../.tools/bench/contenders/package.json", import.meta.url);
createRequire(folder)("workerpool").worker({ echo, crash });
