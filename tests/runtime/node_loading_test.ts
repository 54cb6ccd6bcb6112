/** What Node needs to load the package: its version, its permissions, a place for the addon. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { checkout, toolPath } from "../../scripts/tools.ts";
import { checkVersion } from "../../src/runtime/node.ts";
import {
  assertThrowsCode,
  atEnd,
  folder,
  runtime,
  runtimePath,
  startProgram,
  test,
} from "../support/harness.ts";
import { noRoot } from "../support/privileges.ts";

const program = (library: string): string =>
  `import { connect, serve } from ${JSON.stringify(library)};
try {
  const service = serve("loading", { add: (a, b) => a + b });
  const remote = connect("loading");
  console.log(JSON.stringify({ sum: await remote.add(1, 2) }));
  remote[Symbol.dispose]();
  await service.close();
} catch ({ name, code, message }) {
  console.log(JSON.stringify({ name, code, message }));
}
`;

interface Outcome {
  readonly sum?: number;
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
}

/** A folder with the package installed and a program for it, and the same in one file. */
function installed(): string {
  const app = mkdtempSync(join(tmpdir(), "tandem-loading-"));
  atEnd(() => Promise.resolve(rmSync(app, { recursive: true })));
  const home = join(app, "node_modules/@tandem/ipc");
  const dist = join(home, "dist");
  mkdirSync(dist, { recursive: true });
  const module = join(dist, "mod.js");
  const source = join(checkout, "mod.ts");
  const args = ["build", source, "--target=node", "--format=esm", `--outfile=${module}`];
  const { status, stderr } = spawnSync(toolPath("bun"), args, { encoding: "utf8" });
  assertEquals(status, 0, stderr);
  const manifest = { name: "@tandem/ipc", type: "module", exports: "./dist/mod.js" };
  writeFileSync(join(home, "package.json"), JSON.stringify(manifest));
  const arch = process.arch === "x64" ? "x86_64" : "aarch64";
  const addon = join(checkout, `zig-out/lib/${arch}/tandem-node.node`);
  copyFileSync(addon, join(dist, `tandem-node-${arch}.node`));
  writeFileSync(join(app, "package.mjs"), program("@tandem/ipc"));
  // A bundle: the code without the files of the package.
  copyFileSync(module, join(app, "code.mjs"));
  writeFileSync(join(app, "bundle.mjs"), program("./code.mjs"));
  return app;
}

/** The command to run, and the outcome that it printed. */
async function outcomeOf(command: readonly string[], env: Record<string, string> = {}) {
  const child = startProgram(command.join(" "), command, {
    TANDEM_DIR: folder(),
    TANDEM_LIBRARY: undefined,
    NODE_OPTIONS: undefined,
    ...env,
  });
  const outcome = await child.message<Outcome>();
  await child.ended();
  return outcome;
}

/** Newer versions demand it, the oldest does not know it. */
const net = process.allowedNodeEnvironmentFlags.has("--allow-net") ? " --allow-net" : "";
const withoutAddons = `--permission${net}`;
const withAddons = `--permission --allow-addons${net}`;
const withAll = `--permission --allow-addons${net} --allow-fs-write=/dev/shm`;

/** The last words of the error; null: it works. */
const permissions: readonly (readonly [program: string, flags: string, advice: string | null])[] = [
  ["package", withAddons, null],
  ["package", withoutAddons, "run it with --allow-addons"],
  ["package", "--no-addons", "run it without --no-addons"],
  ...(net === "" ? [] : [
    ["package", "--permission --allow-addons", "run it with --allow-net"],
    ["package", "--permission", "run it with --allow-addons and --allow-net"],
  ] as const),
  ["bundle", withAll, null],
  ["bundle", withAddons, "run it with --allow-fs-write=/dev/shm"],
  ["bundle", withoutAddons, "run it with --allow-addons and --allow-fs-write=/dev/shm"],
  ["bundle", `${withoutAddons} --allow-fs-write=/dev/shm`, "run it with --allow-addons"],
];

/**
 * The folders of a container that may not write: `/dev/shm` for data alone, no other one. Node is opened first,
 * because its folder may be hidden then.
 */
const hardened = `mount --make-rprivate / && mount --bind "$1" /mnt && cd /mnt && exec 4< "$2" &&
  shift 2 && mount -o remount,noexec /dev/shm && mount -t tmpfs -o ro none /tmp &&
  mount -t tmpfs -o ro none /var/tmp && mount -t tmpfs none /media && exec /proc/self/fd/4 "$@"`;

test("versions of Node before 22.18 are UNSUPPORTED", () => {
  for (const version of ["22.18.0", "22.19.1", "23.11.1", "24.0.0", "26.12.1"]) {
    checkVersion(version);
  }
  for (const version of ["22.17.1", "20.20.2", "18.0.0", "8.1.0"]) {
    assertThrowsCode(() => checkVersion(version), "UNSUPPORTED", version, "22.18");
  }
});

if (runtime === "node") {
  for (const [name, flags, advice] of permissions) {
    test(`${name}, node ${flags}: ${advice ?? "works"}`, async () => {
      const app = installed();
      const all = flags.split(" ");
      if (flags.startsWith("--permission")) all.push(`--allow-fs-read=${app}`);
      const command = [runtimePath("node"), ...all, join(app, `${name}.mjs`)];
      const { sum, code, message } = await outcomeOf(command);
      assertEquals([sum, code], advice === null ? [3, undefined] : [undefined, "PERMISSION"]);
      assertEquals(message?.split("; ").at(-1) ?? null, advice);
    });
  }

  test("a container that may not write: the package works, a bundle needs a folder", async () => {
    const inContainer = (name: string, env: Record<string, string> = {}) => {
      const command = ["unshare", "-m", "sh", "-c", hardened, "sh", installed()];
      return outcomeOf([...command, runtimePath("node"), `${name}.mjs`], env);
    };
    assertEquals(await inContainer("package"), { sum: 3 });
    const { code, message } = await inContainer("bundle");
    assertEquals(code, "UNSUPPORTED");
    for (const part of ["/dev/shm", "/tmp: EROFS", "TMPDIR"]) {
      assertStringIncludes(message!, part);
    }
    assertEquals(await inContainer("bundle", { TMPDIR: "/media" }), { sum: 3 });
  }, { skip: noRoot });

  test("where no file can be nameless: the file and its folder are gone again", async () => {
    const nameless = 0o20000000;
    const seam = `const fs = process.getBuiltinModule("node:fs");
      const { openSync } = fs;
      fs.openSync = (path, flags, mode) => {
        if (typeof flags === "number" && flags & ${nameless}) throw new Error("EOPNOTSUPP");
        return openSync(path, flags, mode);
      };`;
    const app = installed();
    const places = mkdtempSync(join(folder(), "places-"));
    const command = [
      runtimePath("node"),
      ...withAddons.split(" "),
      `--allow-fs-read=${app}`,
      `--allow-fs-write=${places}`,
      `--import=data:text/javascript,${encodeURIComponent(seam)}`,
      join(app, "bundle.mjs"),
    ];
    assertEquals(await outcomeOf(command, { TMPDIR: places }), { sum: 3 });
    assertEquals(readdirSync(places), []);
  });

  const old = ["/usr/bin/node", "/usr/local/bin/node"].find((path) => {
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    return /^v(?:1[89]|2[01])\./.test(stdout ?? "");
  });
  test(
    "an older Node can import the package, and its first use says what is needed",
    async () => {
      const { name, code, message } = await outcomeOf([old!, join(installed(), "package.mjs")]);
      assertEquals([name, code], ["TandemError", "UNSUPPORTED"]);
      assertStringIncludes(message!, "22.18 or newer");
    },
    { skip: old === undefined ? "this machine has no older Node" : null },
  );
}
