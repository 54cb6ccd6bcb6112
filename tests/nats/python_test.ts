/** A client in another language calls a service over NATS, and sends to ports of nodes. */
import { assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { serve, Server } from "../../mod.ts";
import { checkout } from "../../scripts/tools.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { tokenOf } from "../../src/nats/target.ts";
import { Node } from "../../src/node/main.ts";
import { afterEnd, atEnd, type Child, startProgram, test } from "../support/harness.ts";
import { removeLocksOfGroup } from "../support/locks.ts";
import { hasNats, natsAddress, newNatsTarget } from "../support/nats.ts";

const packages = join(checkout, ".tools/nats-py");
const skip = hasNats && existsSync(packages)
  ? null
  : "scripts/setup --tests installs a NATS server and nats-py";

/** A process with nats-py that sends each line to a subject, and tells the answer. */
async function startPython(name: string, subject: string, ...args: string[]): Promise<Child> {
  const program = join(checkout, "tests/fixtures", name);
  const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" };
  const command = ["/usr/bin/env", "python3", program, natsAddress(), subject, ...args];
  const child = startProgram(name, command, env);
  await child.expect("ready");
  return child;
}

test(
  "NATS: nats-py calls a method with bytes, and gets text, or the error in headers",
  async () => {
    const target = newNatsTarget();
    const service = serve(target, {
      upper(bytes: Uint8Array) {
        if (bytes.length === 0) throw new RangeError("nothing to do");
        return new TextDecoder().decode(bytes).toUpperCase();
      },
      other: () => "another",
    });
    atEnd(() => service.close({ timeout: 0 }));
    await service.ready;
    const subject = `tandem.call.${tokenOf(target.slice(target.lastIndexOf("/") + 1))}`;
    const python = await startPython("nats_client.py", subject, "upper");
    assertEquals(await python.ask("hello"), { text: "HELLO", headers: {} });
    assertEquals(await python.ask(""), {
      text: "",
      headers: {
        "Tandem-Error": "REMOTE",
        "Nats-Service-Error": "nothing to do",
        "Nats-Service-Error-Code": "500",
      },
    });
  },
  { skip },
);

test(
  "NATS nodes: nats-py finds a port, sends to it, and calls it",
  async () => {
    const group = `text-${process.pid}`;
    afterEnd(linksClosed);
    afterEnd(() => {
      Server.unlink(`${group}.nodes`);
      removeLocksOfGroup(group);
      return Promise.resolve();
    });
    await using node = await Node.start({ group, network: `nats://${natsAddress()}` });
    const came: unknown[][] = [];
    using port = node.port({
      note: (...values: unknown[]) => void came.push(values),
      get: () => came.length,
      echo: (...values: unknown[]) => values,
      fail: () => {
        throw new RangeError("as it was told to");
      },
    });
    node.registry.register("ports", port);
    const subject = `tandem.nodes.${group}.text`;
    const python = await startPython("nats_port.py", subject);
    const ask = (...items: unknown[]) => python.ask(JSON.stringify(items));

    assertEquals(await ask("pick", "nobody"), ["answer", null]);
    assertEquals(await ask("pick", "ports"), ["answer", port.id]);
    assertEquals(await ask("send", port.id, ["note", 1, { a: [true, null, "ä"] }]), ["taken"]);
    assertEquals(await ask("send", port.id, ["note", { $bytes: "AAEC" }]), ["taken"]);
    assertEquals(await ask("call", port.id, "get", []), ["answer", 2]);
    assertEquals(came, [[1, { a: [true, null, "ä"] }], [new Uint8Array([0, 1, 2])]]);
    const others = [
      { $undefined: true },
      { $number: "NaN" },
      { $number: "-0" },
      { $bigint: "-12345678901234567890" },
      { $bytes: "//79" },
      { $date: "2026-01-02T03:04:05.678Z" },
      { $map: [["a", { $set: [1] }]] },
      { $one: 1, $other: 2 },
    ];
    assertEquals(await ask("call", port.id, "echo", others, 30_000), ["answer", others]);
    const error = { name: "RangeError", message: "as it was told to" };
    assertEquals(await ask("call", port.id, "fail", []), ["thrown", { $error: error }]);

    const failures: [string, ...unknown[]][] = [
      ["PORT_DIED", "send", `${port.id}0`, ["note"]],
      ["PORT_DIED", "send", "nobody#a.1", ["note"]],
      ["PORT_DIED", "call", `${port.id}0`, "get", []],
      ["UNKNOWN_METHOD", "call", port.id, "unknown", []],
      ["CORRUPT", "send", port.id],
      ["CORRUPT", "send", "", ["note"]],
      ["CORRUPT", "send", port.id, ["note", { $regexp: "/a/" }]],
      ["CORRUPT", "call", port.id, "get", [], -1],
      ["CORRUPT", "kill", port.id],
      ["INVALID_ARGUMENTS", "pick", "no family"],
    ];
    for (const [code, ...items] of failures) {
      const [kind, found, message] = await ask(...items) as unknown[];
      assertEquals(
        [kind, found, typeof message],
        ["failed", code, "string"],
        JSON.stringify(items),
      );
    }
    const [kind, code] = await python.ask("no JSON") as unknown[];
    assertEquals([kind, code], ["failed", "CORRUPT"]);

    const direct = await startPython("nats_port.py", `${subject}.${tokenOf(node.id)}`);
    assertEquals(await direct.ask(JSON.stringify(["call", port.id, "get", []])), ["answer", 2]);
  },
  { skip },
);
