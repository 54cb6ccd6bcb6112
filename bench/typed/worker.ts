/**
 * A Worker that adds.
 *
 * @module
 */
import type { Question } from "./contenders.ts";

const scope = globalThis as unknown as {
  onmessage: (event: { data: Question }) => void;
  postMessage(message: unknown): void;
};

scope.onmessage = ({ data: [id, a, b] }) => scope.postMessage([id, a + b]);
