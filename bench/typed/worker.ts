/**
 * A worker that adds numbers.
 *
 * @module
 */
import { listenInWorker } from "../lib/workers.ts";
import type { Question } from "./contenders.ts";

const methods = new Map([["add", (a: number, b: number) => a + b]]);

listenInWorker<Question>(({ id, method, args }, port) => {
  port.postMessage({ id, result: methods.get(method)!(...args) });
});
