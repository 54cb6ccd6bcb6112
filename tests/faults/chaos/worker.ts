/**
 * A player in a Worker. Its first message is its part.
 *
 * @module
 */
import { type Part, play } from "./player.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<Part>) => void;
  postMessage(message: number): void;
};

scope.onmessage = async ({ data }) => {
  await play(data);
  scope.postMessage(data.id);
};
