/**
 * Integer clients and servers, which use the same slots.
 *
 * @module
 */
import { type IntCall, IntClient, IntServer, type IntServerRequest } from "../../../mod.ts";
import { signalOf } from "./clients.ts";
import { type Lane, type Step, timeoutOf, work } from "./lane.ts";

/** All forms of a client. */
export function intClient(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, IntClient, (client) => {
    let call: IntCall | null = null;
    const keep = (sent: IntCall | null) => {
      call?.release();
      call = sent;
    };
    return () => {
      const timeout = timeoutOf(random);
      const options = { timeout, ...signalOf(random) };
      return random.pick<Step>([
        ["requestSync", timeout, () => client.requestSync(5, { timeout })],
        ["request", timeout, () => client.request(6n, options)],
        ["trySend", 0, () => keep(client.trySend(7, { timeout }))],
        ["send", timeout, async () => keep(await client.send(8, options))],
        ["post", 0, () => client.post(9)],
        ["call.tryGet", 0, () => call?.tryGet()],
        ["call.getSync", timeout, () => call?.getSync({ timeout })],
        ["call.get", timeout, () => call?.get(options)],
        ["stats", 0, () => client.stats()],
      ]);
    };
  });
}

/** All forms of a server. */
export function intServer(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, IntServer, (server) => {
    const answer = (request: IntServerRequest | null) => {
      if (request && !request.cancelled) request.reply(request.value + 1n);
    };
    return () => {
      const timeout = timeoutOf(random);
      const options = { timeout, ...signalOf(random) };
      return random.pick<Step>([
        ["tryReceive", 0, () => answer(server.tryReceive())],
        ["receiveSync", timeout, () => answer(server.receiveSync({ timeout }))],
        ["receive", timeout, async () => answer(await server.receive(options))],
        ["tryReceiveMany", 0, () => server.tryReceiveMany(5).forEach(answer)],
        [
          "serveSync",
          timeout,
          () => server.serveSync(({ value }) => value, { idleTimeout: timeout }),
        ],
        ["clear", 0, () => random.oneIn(8) && server.clear()],
      ]);
    };
  });
}
