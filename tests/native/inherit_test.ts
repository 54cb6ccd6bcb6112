import { assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { Client, Server } from "../../mod.ts";
import { toolCommand } from "../../scripts/tools.ts";
import { startProcess } from "../../src/runtime/processes.ts";
import { assertThrowsCode, type Runtime, runtimes, test } from "../support/harness.ts";

const fixture = fileURLToPath(new URL("../fixtures/inherited.ts", import.meta.url));

/** Starts a child that has `fd` as its descriptor 3, and resolves to its exit code. */
function start(runtime: Runtime, role: string, fd: number): Promise<number | null> {
  const command = toolCommand(runtime, fixture, [role], ["--allow-ffi"]);
  const child = startProcess(command, { stdio: ["ignore", "inherit", "inherit", fd] });
  return new Promise((resolve) => child.on("exit", resolve));
}

for (const runtime of runtimes) {
  test(`an anonymous channel is handed to a ${runtime} child that serves it`, async () => {
    using server = Server.anonymous({ slots: 2 });
    assertEquals(server.path, null);
    using client = Client.fromFd(server.fd);
    const exited = start(runtime, "server", server.fd);
    assertEquals(new TextDecoder().decode(await client.request("hello")), "HELLO");
    assertEquals(new TextDecoder().decode(await client.request("end")), "ended");
    assertEquals(await exited, 0);
  });

  test(`an anonymous channel is handed to a ${runtime} child that asks through it`, async () => {
    using server = Server.anonymous({ slots: 2 });
    const exited = start(runtime, "client", server.fd);
    const request = (await server.receive())!;
    assertEquals(request.text(), "from the child");
    request.reply();
    assertEquals(await exited, 0);
  });
}

test("fromFd duplicates: closing one handle leaves the others", () => {
  const server = Server.anonymous();
  const other = Server.fromFd(server.fd);
  using client = Client.fromFd(other.fd);
  server.close();
  using call = client.sendSync("x");
  other.tryReceive()!.reply("y");
  assertEquals(new TextDecoder().decode(call.getSync()), "y");
  other.close();
  assertThrowsCode(() => other.fd, "CLOSED");
});
