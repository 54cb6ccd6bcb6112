/** Deno's permissions: the package needs only `--allow-ffi`. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { Client } from "../../mod.ts";
import { folder, ownRuntime, spawn, test, text } from "../support/harness.ts";

/** The outcome of each step. */
type Steps = Readonly<Record<string, string>>;

test("Deno with exactly --allow-ffi: everything works without a prompt", async () => {
  const child = await spawn("deno", "permission.ts", [], { denoPermissions: ["--allow-ffi"] });
  const steps = await child.message<Steps>();
  // TANDEM_DIR counts although this process may not read its environment.
  const path = join(folder(), "permission.tandem");
  assertEquals(steps, {
    open: path,
    blocking: "blocking",
    promise: "promise",
    serve: "serve",
    unlink: "true",
    environment: "denied",
    file: "denied",
  });
  await child.ended();
  assertEquals(child.stderr, "", "no prompt, no warning");
});

test("Deno with exactly --allow-ffi: a server and a client in two processes", async () => {
  const options = { denoPermissions: ["--allow-ffi"] };
  const server = await spawn("deno", "server.ts", ["thumbs", "serve"], options);
  await server.expect("ready");
  const client = await spawn("deno", "client.ts", ["thumbs", "promise"], options);
  await client.expect("ready");
  assertEquals(await client.ask({ op: "burst", count: 20 }), { count: 20 });
  using own = Client.open(join(folder(), "thumbs.tandem"));
  assertEquals(text(await own.request("x")), "x");
});

for (const flags of [[], ["--deny-ffi"], ["--allow-ffi=/nowhere"], ["--allow-all", "--deny-ffi"]]) {
  test(`Deno with ${flags.join(" ") || "no permission"}: PERMISSION, with advice`, async () => {
    const child = await spawn("deno", "open.ts", ["thumbs", "open"], {
      denoPermissions: ["--no-prompt", ...flags],
    });
    const { name, code, message } = await child.message<Steps>();
    assertEquals([name, code], ["TandemError", "PERMISSION"]);
    assertStringIncludes(message!, "--allow-ffi");
    await child.ended();
  });
}

test("Deno does not need the permission before something is opened", async () => {
  const child = await spawn("deno", "open.ts", ["thumbs", "open", "wait"], {
    denoPermissions: ["--no-prompt"],
  });
  child.send("go");
  assertEquals((await child.message<Steps>())["code"], "PERMISSION");
});

test("Bun: everything works without a flag", async () => {
  const child = await spawn("bun", "permission.ts");
  const steps = await child.message<Steps>();
  assertEquals(steps["open"], join(folder(), "permission.tandem"));
  for (const step of ["blocking", "promise", "serve"]) assertEquals(steps[step], step);
  await child.ended();
  assertEquals(child.stderr, "");
});

for (const name of ownRuntime) {
  test(`${name}: a library elsewhere is used when TANDEM_LIBRARY says so`, async () => {
    const child = await spawn(name, "open.ts", ["thumbs", "open"], {
      denoPermissions: ["--allow-ffi", "--allow-env=TANDEM_LIBRARY"],
      env: { TANDEM_LIBRARY: "/nowhere/libtandem.so" },
    });
    const { code, message } = await child.message<Steps>();
    assertEquals(code, "UNSUPPORTED");
    assertStringIncludes(message!, "/nowhere/libtandem.so");
  });
}
