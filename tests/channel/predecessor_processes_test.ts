/** Tests of the predecessor with a process of each runtime, beside predecessor_test.ts. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readlinkSync, statSync, truncateSync } from "node:fs";
import { basename, join } from "node:path";
import { type Call, Client, Server } from "../../mod.ts";
import {
  assertRejectsCode,
  assertThrowsCode,
  eventually,
  fixtureCommand,
  folder,
  newTarget,
  pattern,
  present,
  runtimes,
  settled,
  spawn,
  startClient,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

for (const name of runtimes) {
  test(`${name}: every tenth call is cancelled under load, no answer is wrong (t/03_stress, xt/stress)`, async () => {
    const target = newTarget();
    const servers = [
      await startServer(name, target, "serve", { slots: 32 }),
      await startServer(name, target, "sync"),
    ];
    assert(servers.length === 2);
    using client = Client.open(target);
    let wrong = 0;
    let answered = 0;
    const work = async (worker: number) => {
      for (let round = 0; round < 500; round++) {
        const payload = pattern(1 + (worker * 500 + round) * 7 % 5000, worker * 1000 + round);
        const call = await client.send(payload);
        if (round % 10 === 0 && call.cancel()) {
          await assertRejectsCode(call.get(), "CANCELLED");
          continue;
        }
        const answer = await call.get();
        answered += 1;
        if (answer.length !== payload.length || answer.some((byte, at) => byte !== payload[at])) {
          wrong += 1;
        }
      }
    };
    await Promise.all([1, 2, 3, 4].map(work));
    assertEquals(wrong, 0);
    assert(answered >= 4 * 450, `${answered}`);
    await eventually(() => client.stats().inFlight === 0);
  });

  test(`${name}: of cancel and reply exactly one wins (xt/concurrent_cancel)`, async () => {
    const target = newTarget();
    await startServer(name, target, "serve", { slots: 4 });
    using client = Client.open(target);
    for (let round = 0; round < 500; round++) {
      const call = client.sendSync("x");
      // From immediately to later than the answer.
      const until = performance.now() + round % 25 / 100;
      while (performance.now() < until);
      if (call.cancel()) assertThrowsCode(() => call.getSync(), "CANCELLED");
      else assertEquals(text(call.getSync()), "x");
    }
    await eventually(() => client.stats().inFlight === 0);
  });

  test(`${name}: a cancel from another process ends a wait (xt/cancel_waiting)`, async () => {
    for (const form of ["sync", "promise", "try"] as const) {
      using pair = openPair({ slots: 1 });
      const { server, client: other, target } = pair;
      const caller = await startClient(name, target, form);
      caller.send({ op: "request", payload: "x" });
      const request = present(await server.receive());
      // A client that tries again and again never sleeps.
      if (form !== "try") await settled(caller);
      assertEquals(other.cancel(request.id), true);
      assertEquals((await caller.message<{ code: string }>()).code, "CANCELLED");
      assertEquals(request.reply("late"), false);
    }
  });

  test(`${name}: clear ends the waits of four processes (xt/concurrent_cancel, P49)`, async () => {
    const target = newTarget();
    using server = Server.create(target, { slots: 8 });
    const callers = await Promise.all(
      (["sync", "promise", "sync", "try"] as const).map((form) => startClient(name, target, form)),
    );
    for (const caller of callers) caller.send({ op: "request", payload: "x" });
    await eventually(() => server.stats().queued === callers.length);
    assertEquals(server.clear(), callers.length);
    for (const caller of callers) {
      assertEquals((await caller.message<{ code: string }>()).code, "CANCELLED");
    }
  });

  test(`${name}: a client killed while it sends 4000 bytes, three times: others go on (xt/crash_recovery, P6, P8)`, async () => {
    using pair = openPair({ slots: 8 });
    const { server, client, target } = pair;
    const serving = server.serve((request) => request.oneWay ? null : request.bytes);
    for (let cycle = 0; cycle < 3; cycle++) {
      const victim = await spawn(name, "predecessor.ts", [target, "flood"]);
      await victim.expect("flooding");
      const { requests } = client.stats();
      await eventually(() => client.stats().requests > requests + 100);
      await victim.killed();
      for (let round = 0; round < 20; round++) {
        const payload = pattern(4000, round);
        assertEquals(await client.request(payload), payload);
      }
    }
    await eventually(() => client.stats().clientDeaths === 3);
    server.close();
    await serving;
    // Every single slot can be had.
    const calls: (Call | null)[] = [];
    await eventually(() => {
      for (let call = client.trySend("x"); call; call = client.trySend("x")) calls.push(call);
      return calls.length === 8;
    });
  });

  test(`${name}: a client stopped while it sends holds up no other (P8b)`, async () => {
    using pair = openPair({ slots: 64 });
    const { server, client, target } = pair;
    // This includes the requests of the stopped client.
    const serving = server.serve((request) => request.oneWay ? null : request.bytes);
    const flooder = await spawn(name, "predecessor.ts", [target, "flood"]);
    await flooder.expect("flooding");
    for (let round = 0; round < 10; round++) {
      flooder.kill("SIGSTOP");
      const answer = await client.request(`${round}`, { timeout: 30_000 }).catch((error) => {
        // The stopped client may hold all the slots: then the error says so.
        assertEquals(error.code, "BUSY");
        return null;
      });
      if (answer) assertEquals(text(answer), `${round}`);
      assertEquals(client.stats().clientDeaths, 0);
      flooder.kill("SIGCONT");
    }
    server.close();
    await serving;
  });

  test(`${name}: a server killed half-way through its answer: the request is handed on (P2)`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { slots: 1, maxDeliveries: 2 } });
    const first = await spawn(name, "predecessor.ts", [target, "half-reply"]);
    await first.expect("ready");
    const answer = client.request("x");
    await first.expect("half");
    await first.killed();
    await startServer(name, target, "sync");
    assertEquals(text(await answer), "x", "nothing of the half answer");
    // The one slot is free again.
    assertEquals(client.stats().inFlight, 0);
  });

  test(`${name}: a handler for a signal runs while a promise waits (P13)`, async () => {
    const child = await spawn(name, "predecessor.ts", [newTarget(), "handler"]);
    await child.expect("ready");
    await settled(child);
    child.kill("SIGTERM");
    await child.expect("handled");
    await child.expect("CLOSED");
    await child.ended();
  });

  test(`${name}: killed sleepers do not stay in the numbers of waiting handles (P13b)`, async () => {
    const target = newTarget();
    using client = Client.open(target, { create: { slots: 1 } });
    for (const form of ["sync", "promise"] as const) {
      const server = await startServer(name, target, form);
      const caller = await startClient(name, target, form);
      await eventually(() => client.stats().waitingServers === 1);
      await server.killed();
      caller.send({ op: "request", payload: "x" });
      await eventually(() => client.stats().waitingClients === 1);
      await caller.killed();
      // A client that needs the slot looks for dead participants.
      (await client.send("x")).release();
      const { waitingServers, waitingClients } = client.stats();
      assertEquals([waitingServers, waitingClients], [0, 0]);
    }
  });

  test(`${name}: a handle closed while it reads its arguments: CLOSED, and no crash (xt/destroy_during_call)`, async () => {
    const child = await spawn(name, "predecessor.ts", [newTarget(), "close-inside"]);
    const said: string[] = [];
    for (let line = await child.line(); line !== "end"; line = await child.line()) said.push(line);
    await child.ended();
    for (let index = 0; index < said.length; index += 2) {
      assertEquals(said[index + 1], "CLOSED", said[index]);
    }
    assertEquals(said.length / 2, 11);
  });

  test(`${name}: a full file system is an error and no signal (P25b)`, () => {
    const target = newTarget();
    const mount = join(folder(), "small");
    mkdirSync(mount);
    // In its own namespace, where any user may mount.
    const script = `mount -t tmpfs -o size=700k none ${mount} 2> /dev/null || exit 77; exec "$@"`;
    const channel = join(mount, basename(target));
    const command = fixtureCommand(name, "predecessor.ts", [channel, "fill-disk"]);
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      ["--map-root-user", "--mount", "sh", "-c", script, "sh", ...command],
      { encoding: "utf8" },
    );
    if (status !== 0 && (status === 77 || stderr.startsWith("unshare:"))) {
      console.log("not tested: this machine does not allow mounts");
      return;
    }
    assertEquals(status, 0, stderr);
    assertEquals(JSON.parse(stdout.trim().split("\n").at(-1)!), {
      code: "NO_SPACE",
      replyCode: "NO_SPACE",
      isSome: true,
      whole: true,
      answer: "short",
    });
  });

  test(`${name}: the memory of a channel is sealed and not inherited (xt/memfd_seal, xt/cloexec_exec)`, async () => {
    using server = Server.anonymous({ slots: 2, name: "predecessor" });
    const path = `/proc/self/fd/${server.fd}`;
    const { size } = statSync(path);
    for (const length of [0, size - 1, size + 1]) {
      assertThrows(() => truncateSync(path, length));
    }
    assertEquals(statSync(path).size, size);
    using named = Server.create(newTarget());
    const child = await spawn(name, "open.ts", [newTarget(), "open"]);
    await child.line();
    const descriptors = `/proc/${child.pid}/fd`;
    const links = readdirSync(descriptors).flatMap((fd) => {
      try {
        return readlinkSync(`${descriptors}/${fd}`);
      } catch {
        return []; // The runtime has closed it meanwhile.
      }
    });
    assert(links.length > 2, "they can be read");
    for (const inherited of ["memfd:predecessor", present(named.path)]) {
      assertEquals(links.filter((link) => link.includes(inherited)), []);
    }
  });
}
