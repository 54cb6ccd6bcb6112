/**
 * A Worker that adds numbers.
 *
 * @module
 */
import type { Question } from "./contenders.ts";

const scope = globalThis as unknown as {
  onmessage: (event: { data: Question }) => void;
  postMessage(message: unknown): void;
};

const methods = new Map([["add", (a: number, b: number) => a + b]]);

scope.onmessage = ({ data: { id, method, args } }) => {
  scope.postMessage({ id, result: methods.get(method)!(...args) });
};
