/**
 * A ring that fails must not mean endless sleep: participants that cannot ring each other through the
 * file system, bells that are removed, processes without descriptors. In each test a participant sleeps
 * when another one needs it, and only a ring can wake it; there are no deadlines.
 */
import { assert, assertEquals } from "@std/assert";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Client, Server } from "../../mod.ts";
import type { Report, Spec } from "../fixtures/party.ts";
import {
  type Child,
  eventually,
  fixtureCommand,
  newTarget,
  ownRuntime,
  pairs,
  present,
  type Runtime,
  runtime,
  runtimes,
  spawn,
  startServer,
  test,
  text,
} from "../support/harness.ts";
import { testLibrary } from "../faults/test_library.ts";
import { asOtherUser, noRoot, otherUser, works } from "../support/privileges.ts";

const allPermissions = { denoPermissions: ["-A"] };

const noOtherUser = noRoot ??
  (works([...asOtherUser, "test", "-r", import.meta.filename!])
    ? null
    : "another user cannot be had");
const noMount = noRoot ??
  (works(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]) ? null : "mounting is refused");

/** The ways in which the two open the channel. */
const ways = ["path", "fromFd", "anonymous"] as const;
type Way = typeof ways[number];
/** Whether the server creates the channel and starts the client, or both open an existing one. */
const origins = ["created", "attached"] as const;
type Origin = typeof origins[number];
const environments = ["the same environment", "TANDEM_DIR", "uid", "mount namespace"] as const;
type Environment = typeof environments[number];

interface Place {
  readonly through: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The client's path of the channel. */
  readonly path: string;
}

/** Runs `body` with a folder that other users can reach, unlike perhaps the test's folder. */
async function withOpenFolder(body: (open: string) => Promise<void>): Promise<void> {
  const open = mkdtempSync("/dev/shm/tandem-bells-");
  try {
    chmodSync(open, 0o755);
    await body(open);
  } finally {
    rmSync(open, { recursive: true, force: true });
  }
}

/** The environment that another user's processes need. */
function environmentOf(user: number, open: string): Readonly<Record<string, string>> {
  const own = join(open, "own");
  mkdirSync(own, { mode: 0o700 });
  chownSync(own, user, user);
  return { TANDEM_DIR: own, HOME: own, DENO_DIR: own };
}

/** The environment of the client. */
function placeOf(environment: Environment, way: Way, target: string, open: string): Place {
  const path = target;
  switch (environment) {
    case "the same environment":
      return { through: [], env: {}, path };
    case "TANDEM_DIR": {
      const elsewhere = join(open, "elsewhere");
      mkdirSync(elsewhere, { mode: 0o700 });
      return { through: [], env: { TANDEM_DIR: elsewhere }, path };
    }
    case "uid":
      return { through: asOtherUser, env: environmentOf(otherUser, open), path };
    case "mount namespace": {
      const inside = join(open, "inside");
      mkdirSync(inside, { mode: 0o700 });
      const file = join(inside, "channel.tandem");
      writeFileSync(file, "");
      // A container gets only the file, or only a descriptor.
      const script = way === "path"
        ? 'mount --bind "$1" "$2" && shift 3 && exec "$@"'
        : 'mount -t tmpfs none "$3" && shift 3 && exec "$@"';
      const hidden = join(open, "hidden");
      const through = ["unshare", "-m", "sh", "-c", script, "sh", target, file, hidden];
      return { through, env: { TANDEM_DIR: inside }, path: file };
    }
  }
}

/** A path in a separate folder, which a container may not see. */
function hiddenTarget(open: string): string {
  const hidden = join(open, "hidden");
  mkdirSync(hidden, { mode: 0o755 });
  return join(hidden, "channel.tandem");
}

function party(role: "server" | "client", where: Runtime, spec: Spec): string[] {
  return fixtureCommand(where, "party.ts", [role, JSON.stringify(spec)], ["-A"]);
}

/** A server that inherits a channel of this process as descriptor 3. */
function handedOver(fd: number): readonly string[] {
  const script = `exec 3<>/proc/${process.pid}/fd/${fd}; exec "$@"`;
  return ["sh", "-c", script, "sh"];
}

/** The other runtimes. In a run of all runners, each one is server and client of each other one. */
const others = runtimes.filter((name) => name !== runtime);
const [other] = others as [Runtime, ...Runtime[]];

async function meet(
  peer: Runtime,
  way: Way,
  origin: Origin,
  environment: Environment,
  open: string,
): Promise<void> {
  const target = hiddenTarget(open);
  const mode = environment === "uid" ? 0o666 : 0o600;
  const { through, env, path } = placeOf(environment, way, target, open);
  const clientSpec: Spec = way === "path"
    ? { how: "open", target: path }
    : { how: "fromFd", target: "3" };
  const client = [...through, ...party("client", peer, clientSpec)];
  using made = origin === "attached" ? make(way, target, mode) : null;
  const spec: Spec = made === null
    ? { how: way === "anonymous" ? "anonymous" : "create", target, mode, client, clientEnv: env }
    : way === "path"
    ? { how: "open", target, client, clientEnv: env }
    : { how: "fromFd", target: "3", client, clientEnv: env };
  const handing = made !== null && way !== "path" ? handedOver(made.fd) : [];
  const options = { ...allPermissions, through: handing };
  const server = await spawn(runtime, "party.ts", ["server", JSON.stringify(spec)], options);
  await server.expect("ready");
  // No third participant could wake one of them.
  made?.close();
  const greeting = await server.message<{ runtime: Runtime }>();
  assertEquals(greeting.runtime, peer);
  const { answered, unreachable } = await server.message<Report>();
  assertEquals(answered, 8);
  const differ = environment === "mount namespace" ||
    environment === "TANDEM_DIR" && way === "anonymous";
  if (environment !== "uid") assertEquals(unreachable, differ ? [1, 1] : [0, 0]);
  await server.ended();
}

function make(way: Way, target: string, mode: number): Server {
  const sizes = { slots: 4, maxRequestBytes: 64, mode };
  return way === "anonymous" ? Server.anonymous(sizes) : Server.create(target, sizes);
}

for (const way of ways) {
  for (const [index, environment] of environments.entries()) {
    for (const [turn, origin] of origins.entries()) {
      const client = others[(index + turn) % others.length]!;
      const skip = environment === "uid"
        ? noOtherUser
        : environment === "mount namespace"
        ? noMount
        : null;
      const title = `${client}, ${way}, ${origin}, ${environment}: both wake up for each other`;
      const body = (open: string) => meet(client, way, origin, environment, open);
      test(title, () => withOpenFolder(body), { skip });
    }
  }
}

/** Starts a server child and waits until it and `count` others sleep. */
async function sleeping(where: Runtime, target: string, own: Client, count = 1): Promise<Child> {
  const server = await startServer(where, target, "serve");
  await eventually(() => own.stats().waitingServers === count, "the server sleeps");
  return server;
}

const bellsOf = (target: string): string => `${target}.bells`;

/** The misfortunes of bells while all participants sleep. */
const misfortunes: Readonly<Record<string, (target: string) => void>> = {
  "the bells are removed": (target) => rmSync(bellsOf(target), { recursive: true }),
  "the bells are removed and the folder is a file": (target) => {
    rmSync(bellsOf(target), { recursive: true });
    writeFileSync(bellsOf(target), "");
  },
  "the bells are files": (target) => {
    rmSync(bellsOf(target), { recursive: true });
    mkdirSync(bellsOf(target));
  },
};

for (const where of runtimes) {
  for (const [title, befall] of Object.entries(misfortunes)) {
    test(`${where}: a server sleeps, ${title}, and requests still wake it`, async () => {
      const target = newTarget();
      using own = Client.open(target, { create: {} });
      await sleeping(where, target, own);
      befall(target);
      for (let round = 0; round < 3; round++) {
        await eventually(() => own.stats().waitingServers === 1);
        assertEquals(text(await own.request("x")), "x");
      }
      assertEquals(own.stats().unreachable, 1);
      rmSync(bellsOf(target), { recursive: true, force: true });
    });

    test(`${where}: a client sleeps, ${title}, and its answer still wakes it`, async () => {
      const target = newTarget();
      using own = Server.create(target);
      const client = await spawn(where, "client.ts", [target, "promise"]);
      await client.expect("ready");
      for (let round = 0; round < 3; round++) {
        client.send({ op: "request", payload: "x" });
        const request = present(await own.receive());
        await eventually(() => own.stats().waitingClients === 1, "the client sleeps");
        if (round === 0) befall(target);
        request.reply("y");
        assertEquals(await client.message(), { text: "y" });
      }
      rmSync(bellsOf(target), { recursive: true, force: true });
    });
  }

  test(`${where}: two servers sleep without bells, one is stopped, and the other answers`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: {} });
    const first = await sleeping(where, target, own);
    await sleeping(where, target, own, 2);
    rmSync(bellsOf(target), { recursive: true });
    await first.stopped();
    for (let round = 0; round < 3; round++) assertEquals(text(await own.request("x")), "x");
  });
}

test(
  "a folder that its user may no longer search: client and server still wake each other",
  async () => {
    await withOpenFolder(async (open) => {
      const env = environmentOf(otherUser, open);
      const target = join(open, "own", "channel.tandem");
      const client = party("client", other, { how: "open", target });
      const spec: Spec = { how: "create", target, client, locks: true };
      const options = { ...allPermissions, through: asOtherUser, env };
      const server = await spawn(runtime, "party.ts", ["server", JSON.stringify(spec)], options);
      await server.expect("ready");
      assertEquals((await server.message<{ runtime: Runtime }>()).runtime, other);
      const { answered } = await server.message<Report>();
      assertEquals(answered, 8);
      await server.ended();
    });
  },
  { skip: noOtherUser },
);

for (const { server, client, title } of pairs) {
  test(`${title}: a server without a free descriptor wakes its clients`, async () => {
    const target = newTarget();
    const spec: Spec = { how: "create", target, starves: true };
    const child = await spawn(server, "party.ts", ["server", JSON.stringify(spec)], {
      ...allPermissions,
      through: ["prlimit", "--nofile=80"],
    });
    await child.expect("ready");
    // In sequence: none of their bells was rung before.
    for (let round = 0; round < 3; round++) {
      const asking = await spawn(client, "party.ts", [
        "client",
        JSON.stringify({ how: "open", target, leaves: round < 2 } satisfies Spec),
        "1",
      ], allPermissions);
      const report = await asking.message<Report>();
      assertEquals(report.answered, 4, JSON.stringify(report));
      await asking.ended();
    }
    await child.ended();
  });
}

/** The channels of a crowd: `target` with a number behind it. */
function smallServers(target: string, count: number): Server[] {
  const sizes = { slots: 1, maxRequestBytes: 16, maxResponseBytes: 16 };
  return Array.from({ length: count }, (_, index) => Server.create(target + index, sizes));
}

/** Answers one call in each channel, when its client sleeps and the bells are gone. */
async function answerWithoutBells(servers: readonly Server[], target: string): Promise<void> {
  for (const [index, server] of servers.entries()) {
    const request = present(await server.receive());
    await eventually(() => server.stats().waitingClients === 1, "it sleeps");
    rmSync(bellsOf(target + index), { recursive: true });
    request.reply("y");
  }
}

test("a hundred and fifty event loops of one process are all served", async () => {
  const count = 150;
  const target = newTarget();
  const servers = smallServers(target, count);
  const crowd = JSON.stringify({ how: "open", target } satisfies Spec);
  const child = await spawn(
    other,
    "party.ts",
    ["crowd", crowd, "1", String(count)],
    allPermissions,
  );
  await child.expect("ready");
  // One thread of the child watches 127 of them, and a second one the others.
  await answerWithoutBells(servers, target);
  await child.expect(`${count} answers, 2 wakers`);
  await child.ended();
  for (const server of servers) server.close();
});

for (const where of ownRuntime) {
  test(
    `${where}: a process that becomes another user while its waker sleeps still wakes`,
    async () => {
      const child = await spawn(where, "setuid.ts", ["12345"], allPermissions);
      await child.expect("12345");
      await child.ended();
    },
    { skip: noRoot },
  );
}

/** A process whose kernel appears to be older than Linux 5.16. */
const onOlderKernel = {
  ...allPermissions,
  env: { TANDEM_LIBRARY: testLibrary, TANDEM_WITHOUT_FUTEX_WAITV: "1" },
};

for (const where of runtimes) {
  test(`${where}: on an older kernel a server sleeps, the bells are removed, and requests still wake it`, async () => {
    const target = newTarget();
    using own = Client.open(target, { create: {} });
    const server = await spawn(where, "server.ts", [target, "serve"], onOlderKernel);
    await server.expect("ready");
    await eventually(() => own.stats().waitingServers === 1, "the server sleeps");
    rmSync(bellsOf(target), { recursive: true });
    for (let round = 0; round < 3; round++) {
      await eventually(() => own.stats().waitingServers === 1);
      assertEquals(text(await own.request("x")), "x");
    }
    rmSync(bellsOf(target), { recursive: true, force: true });
  });

  test(`${where}: on an older kernel each event loop has a waker, which others use after it`, async () => {
    const [rounds, count] = [4, 20];
    const target = newTarget();
    const servers = smallServers(target, rounds * count);
    const crowd = JSON.stringify({ how: "open", target } satisfies Spec);
    const args = ["crowd", crowd, String(rounds), String(count)];
    const child = await spawn(where, "party.ts", args, onOlderKernel);
    await child.expect("ready");
    await answerWithoutBells(servers, target);
    const [answers, wakers] = (await child.line()).match(/\d+/g)!.map(Number);
    assertEquals(answers, rounds * count);
    // A thread that has not yet noticed the end of its handle is not used again.
    assert(wakers! >= count && wakers! < rounds * count, `${wakers} wakers`);
    await child.ended();
    for (const server of servers) server.close();
  });
}
