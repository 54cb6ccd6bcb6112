import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Server } from "../../mod.ts";
import { checkout, toolCommand } from "../../scripts/tools.ts";
import { ZmqDoor } from "../../src/zmq/main.ts";
import {
  atEnd,
  type Child,
  eventually,
  folder,
  newTarget,
  runtime,
  startProgram,
  test,
} from "../support/harness.ts";
import { type Outcome, runFile } from "../support/run.ts";

const mainFile = "src/cli/main.ts";

const tandem = (...args: readonly string[]): Promise<Outcome> =>
  runFile(mainFile, ["zmq", ...args]);

/** A `tandem zmq` that goes on. */
function start(...args: readonly string[]): Child {
  const { program, args: rest } = toolCommand(runtime, join(checkout, mainFile), ["zmq", ...args]);
  return startProgram("tandem zmq", [program, ...rest], { TANDEM_DIR: folder(), NO_COLOR: "1" });
}

const listening = (door: Child): Promise<void> =>
  eventually(() => door.stderr.includes("tandem: listens on "), "the door listens");

/** A server that answers in capitals, and counts. */
function shout(target: string): { served(): number } {
  let count = 0;
  const server = Server.open(target);
  const serving = server.serve((request) => {
    count += 1;
    if (request.text() === "throw") throw new RangeError("not today");
    return request.text().toUpperCase();
  });
  atEnd(async () => {
    server.close();
    await serving;
  });
  return { served: () => count };
}

async function openDoor(): Promise<ZmqDoor> {
  const target = newTarget();
  shout(target);
  const door = new ZmqDoor({ target, frontend: "tcp://127.0.0.1:0" });
  atEnd(() => door.close());
  await door.ready;
  return door;
}

test("tandem zmq: lets clients in until TERM or INT, and exits 0", async () => {
  const target = newTarget();
  shout(target);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const door = start("--target", target, "--frontend", `ipc://${folder()}/door`);
    await listening(door);
    const { code, stdout } = await tandem("call", "-e", `ipc://${folder()}/door`, "hello");
    assertEquals([code, stdout], [0, "HELLO"]);
    door.kill(signal);
    await door.ended();
  }
});

test("tandem zmq: a bad endpoint, an unknown option and --backend exit 2", async () => {
  for (
    const args of [
      ["--target", "t", "--frontend", "127.0.0.1:6660"],
      // A network that no machine has.
      ["--target", "t", "--frontend", "tcp://192.0.2.1:0"],
      ["--target", "t", "--backend", "tcp://127.0.0.1:6661"],
      ["--frontend", "tcp://127.0.0.1:0"],
      ["call", "-e", "tcp://", "x"],
      ["call", "-r", "0", "x"],
      ["call", "--server-key", "x".repeat(40), "x"],
    ]
  ) {
    const { code, stderr } = await tandem(...args);
    assertEquals(code, 2, `${args.join(" ")}: ${stderr}`);
  }
});

test("tandem zmq: an address that is in use exits 1 and says so", async () => {
  const door = await openDoor();
  const { code, stderr } = await tandem("--target", "t", "--frontend", door.endpoint);
  assertEquals(code, 1);
  assertMatch(stderr, /another socket listens there.*\(EXISTS\)/);
});

test("tandem zmq: a path of a file, or of a socket at work, is refused, and a dead one's is taken over", async () => {
  const file = join(folder(), "notes");
  writeFileSync(file, "do not remove");
  const refused = await tandem("--target", "t", "--frontend", `ipc://${file}`);
  assertEquals([refused.code, readFileSync(file, "utf8")], [1, "do not remove"]);
  assertMatch(refused.stderr, /a file that is no socket.*\(EXISTS\)/);

  const target = newTarget();
  shout(target);
  const endpoint = `ipc://${folder()}/door`;
  const args = ["--target", target, "--frontend", endpoint];
  const first = start(...args);
  await listening(first);
  const second = await tandem(...args);
  assertEquals(second.code, 1);
  assertMatch(second.stderr, /another socket listens there.*\(EXISTS\)/);
  assertEquals((await tandem("call", "-e", endpoint, "still there")).stdout, "STILL THERE");
  await first.killed();
  const third = start(...args);
  await listening(third);
  assertEquals((await tandem("call", "-e", endpoint, "again")).stdout, "AGAIN");
  third.kill("SIGTERM");
  await third.ended();
});

test("tandem zmq call: standard input without its last newline, bytes as they are", async () => {
  const door = await openDoor();
  const call = (input: string, ...args: string[]) =>
    runFile(mainFile, ["zmq", "call", "-e", door.endpoint, ...args], { input });
  assertEquals((await call("two\nlines\n")).stdout, "TWO\nLINES");
  assertEquals((await call("two\n\n", "-")).stdout, "TWO\n");
  assertEquals((await call("", "as it is\n")).stdout, "AS IT IS\n");
});

test("tandem zmq call: to a door with ids, it sends one, and shows the answer and errors without it", async () => {
  const target = newTarget();
  shout(target);
  const door = new ZmqDoor({ target, frontend: "tcp://127.0.0.1:0", idFrame: true });
  atEnd(() => door.close());
  await door.ready;
  const call = (...args: string[]) => tandem("call", "-e", door.endpoint, "--id-frame", ...args);
  assertEquals((await call("hello")).stdout, "HELLO");
  const { code, stderr } = await call("throw");
  assertEquals(code, 1);
  assertMatch(stderr, /not today \(REMOTE\)/);
});

test("tandem zmq call: an error of the call is on standard error, and exits 1", async () => {
  const door = await openDoor();
  const { code, stdout, stderr } = await tandem("call", "-e", door.endpoint, "throw");
  assertEquals([code, stdout], [1, ""]);
  assertMatch(stderr, /not today \(REMOTE\)/);
});

test("tandem zmq call: asks as often as it was told, and gives up", async () => {
  const { code, stderr } = await tandem(
    ...["call", "-t", "0.05", "-r", "3", "-e", `ipc://${folder()}/nobody`, "-i", "me", "x"],
  );
  assertEquals(code, 1);
  assertEquals(stderr.match(/asks again/g)?.length, 2);
  assertMatch(stderr, /after 3 attempts/);
});

test("tandem zmq: keys come from files, and a client without one is not let in", async () => {
  // From the documentation of CURVE.
  const keys = {
    door: ["rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"],
    client: [
      "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
      "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
    ],
  } as const;
  for (const [name, [, secret]] of Object.entries(keys)) {
    writeFileSync(join(folder(), `${name}.key`), `${secret}\n`, { mode: 0o600 });
  }
  const target = newTarget();
  shout(target);
  const endpoint = `ipc://${folder()}/door`;
  const door = start(
    ...["--target", target, "--frontend", endpoint],
    ...["--secret-key-file", join(folder(), "door.key"), "--allow", keys.client[0]],
  );
  await listening(door);
  const call = (...args: string[]) => tandem("call", "-e", endpoint, ...args);
  const allowed = ["--server-key", keys.door[0], "--secret-key-file", join(folder(), "client.key")];
  assertEquals((await call(...allowed, "hello")).stdout, "HELLO");
  const stranger = ["--server-key", keys.door[0], "--secret-key-file", join(folder(), "door.key")];
  const refused = await call("-t", "0.5", "-r", "1", ...stranger, "hello");
  assertEquals(refused.code, 1, refused.stderr);
  assertEquals((await call("-t", "0.5", "-r", "1", "hello")).code, 1);
  door.kill("SIGTERM");
  await door.ended();
  assert(!existsSync(join(folder(), "door")), "the socket's file is gone");
});
