/**
 * Waits in one of the ways that the benchmark compares.
 *
 * @module
 */
import process from "node:process";
import { Client, Server } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";
import { contender as unixSocket } from "../contenders/unix_own.ts";
import type { Wait } from "../idle.ts";

const [wait, target = ""] = process.argv.slice(2) as [Wait, string];

if (wait !== "receiveSync()") listen(() => {});
switch (wait) {
  case "receive()": {
    const server = Server.open(target);
    void server.receive();
    report("ready");
    break;
  }
  case "client, open": {
    const client = Client.open(target);
    report(client.servers);
    break;
  }
  case "client, request()": {
    // The server takes the request and does not answer.
    const client = Client.open(target);
    void client.request("hold");
    report("ready");
    break;
  }
  case "hold, receive()": {
    const server = Server.open(target);
    void server.receive().then(() => server.receive());
    report("ready");
    break;
  }
  case "receiveSync()": {
    const server = Server.open(target);
    report("ready");
    // A blocked thread does not notice that the parent is gone.
    server.receiveSync({ timeout: 60_000 });
    break;
  }
  case "Unix socket":
    await unixSocket.serve?.(target, () => {});
    report("ready");
}
