/** What a method learns of the process that calls it. */
import { assertEquals } from "@std/assert";
import process from "node:process";
import { callContext, connect, type Peer, serve } from "../../mod.ts";
import { runtime, test } from "../support/harness.ts";
import { ownUid } from "../support/own_user.ts";
import { collect, typedAt } from "../support/rpc_helper.ts";
import { sites, transports } from "../support/sites.ts";

const ownPeer: Peer = { pid: process.pid, uid: ownUid(), runtime };

for (const site of sites) {
  test(`${site.title}: methods and streams know the process that calls`, async () => {
    using there = await typedAt(site);
    assertEquals(await there.remote.peers(), [ownPeer, ownPeer]);
    assertEquals(await collect(there.remote.peersOfStream()), [ownPeer, ownPeer]);
  });

  test(`${site.title}: a call that travels in parts has the same peer`, async () => {
    using there = await typedAt(site, { maxRequestBytes: 64 });
    // One more argument than the method takes.
    const peers = there.remote.peers as (long: Uint8Array) => Promise<Peer[]>;
    assertEquals(await peers(new Uint8Array(1000)), [ownPeer, ownPeer]);
  });
}

for (const { title, newTarget } of transports) {
  test(`${title}: a context that outlives its call keeps what was read, and is unknown otherwise`, async () => {
    const contexts: { readonly peer: Peer }[] = [];
    const api = {
      look: () => void callContext()!.peer,
      keep: () => void contexts.push(callContext()!),
    };
    await using service = serve(newTarget(), api);
    using remote = connect<typeof api>(service.path, { timeout: 10_000 });
    await remote.keep();
    const [kept] = contexts;
    const isUnknown = title === "shared memory";
    assertEquals(kept!.peer, isUnknown ? { pid: 0, uid: -1, runtime: "unknown" } : ownPeer);
  });
}
