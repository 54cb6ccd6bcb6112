/** SIGTERM, and deploys under load: services end without a failed call, and others take over. */
import { assert, assertEquals } from "@std/assert";
import { connect } from "../../mod.ts";
import { type Child, newTarget, type Runtime, runtimes, spawn, test } from "../support/harness.ts";
import { rejection } from "../support/rpc_helper.ts";
import type { Api } from "../fixtures/deployed_service.ts";

async function deploy(runtime: Runtime, target: string, version: number): Promise<Child> {
  const service = await spawn(runtime, "deployed_service.ts", [target, `${version}`]);
  await service.expect("ready");
  return service;
}

/** Sends SIGTERM and waits for an orderly end. */
async function retire(service: Child): Promise<void> {
  service.kill("SIGTERM");
  await service.expect("closing");
  await service.expect("finished");
  await service.ended();
  assertEquals(service.stderr, "");
}

for (const runtime of runtimes) {
  test(`${runtime}: SIGTERM during a call: the call ends well, the exit status is 0, the next service takes over`, async () => {
    const target = newTarget();
    using remote = connect<Api>(target, { timeout: 30_000 });
    const old = await deploy(runtime, target, 1);
    const slow = remote.slow(300);
    await old.expect("began");
    old.kill("SIGTERM");
    await old.expect("closing");
    // These come too late for the old service, and there is no other one yet.
    const queued = [remote.work(0), remote.work(1)];
    await old.expect("finished");
    await old.ended();
    assertEquals(await slow, "1");
    const next = await deploy(runtime, target, 2);
    assertEquals(await Promise.all(queued), ["2", "2"]);
    await retire(next);
  });
}

test("SIGTERM while a client is stopped that should fetch a long answer: the service ends", async () => {
  const target = newTarget();
  const service = await deploy("deno", target, 1);
  const client = await spawn("bun", "deployed_client.ts", [target, "slow"]);
  await service.expect("began");
  service.kill("SIGTERM");
  await service.expect("closing");
  await client.stopped();
  await service.expect("finished");
  await service.ended();
});

test("under load of all runtimes, three generations of services replace each other: no call fails", async () => {
  const target = newTarget();
  let services = await Promise.all(runtimes.map((runtime) => deploy(runtime, target, 1)));
  const clients = await Promise.all(
    runtimes.map((runtime) => spawn(runtime, "deployed_client.ts", [target])),
  );
  /** Waits until each client has an answer of that version, and of both long kinds. */
  const awaited = new Map(clients.map((client) => [client, new Set<string>()]));
  const seen = async (version: number): Promise<void> => {
    for (const [client, firsts] of awaited) {
      while (!firsts.has(`first ${version}`)) firsts.add(await client.line());
    }
  };
  await seen(1);
  for (const version of [2, 3]) {
    const next: Child[] = [];
    for (const [index, runtime] of runtimes.entries()) {
      next.push(await deploy(runtime, target, version));
      await retire(services[index]!);
    }
    services = next;
    await seen(version);
  }
  for (const client of clients) {
    client.send("end");
    client.end();
    let line = "";
    while (!line.startsWith("{")) line = await client.line();
    const { answers, failures } = JSON.parse(line) as {
      readonly answers: Readonly<Record<string, number>>;
      readonly failures: readonly string[];
    };
    assertEquals(failures, []);
    for (const kind of ["1", "2", "3", "long", "length"]) assert(answers[kind]! > 0, line);
    await client.ended();
  }
});

test("two versions of an interface use two targets; on one target, a client that gives a version is told", async () => {
  const [target, next] = [newTarget(), newTarget()];
  const [old, young] = await Promise.all([
    deploy("deno", target, 1),
    deploy("bun", next, 2),
  ]);
  using first = connect<Api>(target, { timeout: 30_000, version: "1" });
  using second = connect<Api>(next, { timeout: 30_000, version: "2" });
  assertEquals([await first.work(0), await second.work(0)], ["1", "2"]);
  using wrong = connect<Api>(target, { timeout: 30_000, version: "2" });
  const error = await rejection<Error & { code?: string }>(wrong.work(0));
  assertEquals(error.code, "MISMATCH");
  assert(/"1".*"2"|"2".*"1"/.test(error.message), error.message);
  await retire(old);
  await retire(young);
});
