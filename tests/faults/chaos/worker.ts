/**
 * A player in a Worker. Its first message is its part.
 *
 * @module
 */
import { threadScope } from "../../support/threads.ts";
import { type Part, play } from "./player.ts";

const scope = threadScope();
scope.listen(async (message) => {
  const part = message as Part;
  await play(part);
  scope.post(part.id);
});
