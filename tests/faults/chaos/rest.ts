/**
 * Whether a channel is at rest: killed players have left nothing in it or beside it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { type Call, type Client, Server } from "../../../mod.ts";
import { bellsOf } from "../../support/bells.ts";

/** The faults of a channel that only `watcher` has open. Removes the channel. */
export function inspectRest(watcher: Client, target: string): string[] {
  const wrong: string[] = [];
  // A newcomer looks for the dead, and so repairs the last victims as well.
  using server = Server.open(target);
  const { inFlight, clients, servers, slots } = watcher.stats();
  const check = (isRight: boolean, what: string) => void (isRight || wrong.push(what));
  check(inFlight === 0, `${inFlight} calls are in flight`);
  check(
    clients === 1 && servers === 1,
    `${clients} clients and ${servers} servers, where 1 + 1 are`,
  );
  check(server.tryReceive() === null, "a request waits");

  const calls: Call[] = [];
  for (let call = watcher.trySend("x"); call; call = watcher.trySend("x")) calls.push(call);
  check(calls.length === slots, `${calls.length} of ${slots} slots can be taken`);
  let answered = 0;
  for (let request = server.tryReceive(); request; request = server.tryReceive()) {
    if (request.reply("y")) answered += 1;
  }
  check(answered === calls.length, `${answered} of ${calls.length} last requests came`);
  for (const call of calls) check(call.tryGet()?.length === 1, "a last answer is missing");
  check(watcher.stats().inFlight === 0, "the last calls did not end");

  // The two handles here have one socket each for the death watch.
  const bells = bellsOf(target);
  check(bells.length === 2, `there are ${bells.length} bells of 2 handles: ${bells.join(" ")}`);
  server.close();
  watcher.close();
  Server.unlink(target);
  check(!existsSync(target) && !existsSync(`${target}.bells`), "files of the channel are left");
  return wrong;
}
