/** Processes and threads with an open door: how they end. */
import { assert, assertEquals } from "@std/assert";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Server } from "../../mod.ts";
import {
  type Child,
  type Exit,
  folder,
  newTarget,
  ownRuntime,
  present,
  type Runtime,
  spawn,
  test,
} from "../support/harness.ts";
import { noPyzmq, PythonClients } from "../support/zmq.ts";

const skip = noPyzmq;

/** A door in a process of its own, in the main thread or in a Worker. */
async function startDoor(
  runtime: Runtime,
  target: string,
  where: "here" | "worker",
): Promise<{ child: Child; endpoint: string }> {
  const child = await spawn(runtime, "zmq/door.ts", [target, where], {
    // To load the Workers' modules.
    denoPermissions: ["--allow-ffi", "--allow-read"],
  });
  const endpoint = await child.line();
  assert(endpoint.startsWith("tcp://127.0.0.1:"), endpoint);
  return { child, endpoint };
}

/** A call in flight, and a client that has had an answer. */
async function busy(server: Server, endpoint: string): Promise<PythonClients> {
  const clients = await PythonClients.start();
  await clients.open("a", "REQ", endpoint);
  await clients.send("a", "x");
  present(await server.receive()).reply("y");
  assertEquals(await clients.receive("a"), ["y"]);
  await clients.send("a", "in flight");
  present(await server.receive());
  return clients;
}

const ways: Readonly<Record<string, Exit>> = {
  exit: { code: 7, signal: null },
  throw: { code: 1, signal: null },
  SIGTERM: { code: null, signal: "SIGTERM" },
};

for (const name of ownRuntime) {
  for (const where of ["here", "worker"] as const) {
    for (const [how, exit] of Object.entries(ways)) {
      test(
        `${name}: a process with a door ends (${where}, ${how}), with a call in flight`,
        async () => {
          const target = newTarget();
          using server = Server.create(target);
          const { child, endpoint } = await startDoor(name, target, where);
          await busy(server, endpoint);
          if (how === "SIGTERM") child.kill("SIGTERM");
          else child.send(how);
          assertEquals(await child.exited, exit, child.describe());
        },
        { skip },
      );
    }
  }

  test(`${name}: an open door keeps its process alive, and a closed one does not`, async () => {
    const target = newTarget();
    using server = Server.create(target);
    const open = await startDoor(name, target, "here");
    const closing = await startDoor(name, target, "here");
    open.child.send("leave");
    closing.child.send("close");
    await closing.child.expect("closed");
    await closing.child.ended();
    // The other one has had as much time to end.
    const clients = await PythonClients.start();
    await clients.open("a", "REQ", open.endpoint);
    await clients.send("a", "x");
    present(await server.receive()).reply("y");
    assertEquals(await clients.receive("a"), ["y"]);
    assert(open.child.isRunning);
  }, { skip });

  test(
    `${name}: a Worker with a door is terminated: the process goes on, and can end`,
    async () => {
      const target = newTarget();
      using server = Server.create(target);
      const { child, endpoint } = await startDoor(name, target, "worker");
      await busy(server, endpoint);
      child.send("terminate");
      child.send("ping");
      await child.expect("pong");
      child.send("leave");
      await child.ended();
    },
    { skip },
  );

  test(`${name}: without libzmq a door is UNSUPPORTED, which says what to install`, async () => {
    // The loader takes the first file of that name, and then finds that it is no library.
    for (const file of ["libzmq.so.5", "libzmq.so"]) writeFileSync(join(folder(), file), "none");
    const child = await spawn(name, "zmq/door.ts", [newTarget(), "here"], {
      denoPermissions: ["--allow-ffi", "--allow-read"],
      env: { LD_LIBRARY_PATH: folder() },
    });
    const { code, message } = await child.message<{ code: string; message: string }>();
    assertEquals(code, "UNSUPPORTED");
    for (const part of ["libzmq", "apt-get install libzmq5", "dnf install zeromq"]) {
      assert(message.includes(part), message);
    }
    child.send("ping");
    await child.expect("pong");
    child.send("leave");
    await child.ended();
  });
}
