/**
 * The addon that the package contains: Node with `--permission` loads it with exactly the flags that the guide
 * names, and from any folder that may hold code.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { checkout, toolPath } from "../../scripts/tools.ts";
import {
  type Child,
  folder,
  newTarget,
  runtime,
  runtimePath,
  startProgram,
  test,
} from "../support/harness.ts";
import { works } from "../support/privileges.ts";

/** Makes one file of a fixture and this package, so that Node loads what the package contains. */
async function bundle(fixture: string): Promise<string> {
  const out = join(folder(), `${fixture}.mjs`);
  const esbuild = join(checkout, `node_modules/@esbuild/linux-${process.arch}/bin/esbuild`);
  const flags = ["--bundle", "--platform=node", "--target=node22", "--format=esm"];
  const source = join(checkout, "tests/fixtures", `${fixture}.ts`);
  const command = [esbuild, ...flags, "--log-level=error", `--outfile=${out}`, source];
  await startProgram("esbuild", command).ended();
  return out;
}

/**
 * The command of the guide, for programs in the test's folder. The oldest version has no `--allow-net`. A bundle
 * does not have the file of the addon that the package has.
 */
function documentedFlags(name: string): string[] {
  const guide = readFileSync(join(checkout, "docs/guide/operations.md"), "utf8");
  const [, flags] = /^node (--permission .*) service\.ts$/m.exec(guide) ?? [];
  assert(flags !== undefined, "the guide has no command");
  const all = [...flags.replace('"$PWD"', folder()).split(" "), "--allow-fs-write=/dev/shm"];
  return name === "node" ? all : all.filter((flag) => flag !== "--allow-net");
}

function start(node: string, flags: readonly string[], program: string, target: string): Child {
  const env = { TANDEM_LIBRARY: undefined, TANDEM_DIR: folder(), NO_COLOR: "1" };
  return startProgram(`node ${flags.join(" ")}`, [node, ...flags, program, target, "open"], env);
}

if (runtime === "node") {
  for (
    const [name, node] of [["node", runtimePath("node")], [
      "oldest-node",
      toolPath("oldest-node"),
    ]] as const
  ) {
    test(`${name}: with the flags of the guide, a service and a client work`, async () => {
      const [service, client] = [await bundle("bundled_service"), await bundle("bundled_client")];
      const target = newTarget();
      const flags = documentedFlags(name);
      await start(node, flags, service, target).expect("ready");
      const calling = start(node, flags, client, target);
      const { sum, long } = await calling.message<{ sum: number; long: number[] }>();
      assertEquals([sum, long], [3, [3_000_000, 3_000_000]]);
      await calling.ended();
    });

    test(`${name}: without one of the flags: PERMISSION, with advice`, async () => {
      const program = await bundle("open");
      const flags = documentedFlags(name);
      // The program itself is behind the last one.
      for (const missing of flags.filter((flag) => !/permission|read/.test(flag))) {
        const rest = flags.filter((flag) => flag !== missing);
        const child = start(node, rest, program, newTarget());
        await child.message();
        const { code, message } = await child.message<{ code: string; message: string }>();
        assertEquals(code, "PERMISSION");
        assertStringIncludes(message, missing);
        await child.ended();
      }
    });
  }

  const skip = works(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"])
    ? null
    : "mounting is refused";

  test("/dev/shm with noexec, as in Docker: the addon comes from another folder", async () => {
    assertEquals((await openWithout("/dev/shm", {})).path, "/dev/shm/a.tandem");
    const everywhere = "/dev/shm /tmp /var/tmp";
    assertEquals((await openWithout(everywhere, { TMPDIR: "/mnt" })).path, "/dev/shm/a.tandem");
  }, { skip });

  test("no folder may hold code: UNSUPPORTED, with advice", async () => {
    const { code, message } = await openWithout("/dev/shm /tmp /var/tmp", { TMPDIR: undefined });
    assertEquals(code, "UNSUPPORTED");
    assertStringIncludes(message!, "set TMPDIR to a folder");
  }, { skip });
}

interface Opened {
  readonly path?: string;
  readonly code?: string;
  readonly message?: string;
}

/** Opens a channel where these folders hold no code. Code may be in /mnt. */
async function openWithout(
  folders: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Opened> {
  // The program and Node are opened before their folders may be hidden.
  const script = `exec 3< "$1" 4< "$3"
    for folder in $2; do mount -t tmpfs -o noexec none $folder || exit; done
    mount -t tmpfs none /mnt && exec /proc/self/fd/4 --input-type=module - /dev/shm/a.tandem open <&3`;
  const args = [await bundle("open"), folders, runtimePath("node")];
  const command = ["unshare", "-m", "sh", "-c", script, "sh", ...args];
  const child = startProgram(`node without code in ${folders}`, command, {
    TANDEM_LIBRARY: undefined,
    NO_COLOR: "1",
    ...env,
  });
  await child.message();
  const opened = await child.message<Opened>();
  await child.ended();
  return opened;
}
