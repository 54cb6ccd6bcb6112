/** A client in another language calls a service over NATS. */
import { assertEquals } from "@std/assert";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { serve } from "../../mod.ts";
import { checkout } from "../../scripts/tools.ts";
import { tokenOf } from "../../src/nats/target.ts";
import { atEnd, type Child, startProgram, test } from "../support/harness.ts";
import { hasNats, natsAddress, newNatsTarget } from "../support/nats.ts";

const packages = join(checkout, ".tools/nats-py");
const skip = hasNats && existsSync(packages)
  ? null
  : "scripts/setup --tests installs a NATS server and nats-py";

/** A process with nats-py that calls a method with each line. */
async function startPython(target: string, method: string): Promise<Child> {
  const subject = `tandem.call.${tokenOf(target.slice(target.lastIndexOf("/") + 1))}`;
  const program = join(checkout, "tests/fixtures/nats_client.py");
  const env = { PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" };
  const command = ["/usr/bin/env", "python3", program, natsAddress(), subject, method];
  const child = startProgram("nats_client.py", command, env);
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
    const python = await startPython(target, "upper");
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
