/** Channels on btrfs and XFS, when they are full and when files share blocks. */
import { assert, assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Client, Server } from "../../mod.ts";
import { callAsleep } from "../support/calls.ts";
import { assertThrowsCode, folder, runtime, startServer, test, text } from "../support/harness.ts";
import { noRoot, works } from "../support/privileges.ts";

const noLoop = noRoot ??
  (["mkfs.btrfs", "mkfs.xfs", "losetup"].every((name) => works(["which", name]))
    ? null
    : "btrfs-progs and xfsprogs are missing");

/** Runs `body` in a file system that is made for it. */
async function onFileSystem(
  type: string,
  bytes: number,
  body: (at: string) => Promise<void>,
): Promise<void> {
  const image = join(folder(), "image");
  const at = join(folder(), "mounted");
  mkdirSync(at);
  const run = (command: string, ...args: string[]) => {
    const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
    assertEquals(status, 0, `${command} ${args.join(" ")}: ${stderr}`);
  };
  run("truncate", "-s", String(bytes), image);
  run(`mkfs.${type}`, "-q", image);
  run("mount", "-o", "loop", image, at);
  // After an error it may be in use.
  let flags = ["--lazy"];
  try {
    chmodSync(at, 0o700);
    await body(at);
    flags = [];
  } finally {
    run("umount", ...flags, at);
  }
}

/** Takes the rest of the space. */
function fill(at: string): void {
  spawnSync("sh", ["-c", 'cat /dev/zero > "$1/filler" 2> /dev/null; sync -f "$1"', "sh", at]);
}

for (const [type, bytes] of [["btrfs", 2 ** 28], ["xfs", 3.2e8]] as const) {
  test(
    `${type}: committed memory can be written again when the file system is full`,
    () =>
      onFileSystem(type, bytes, async (at) => {
        const target = join(at, "channel.tandem");
        const server = await startServer(runtime, target, "serve", { slots: 2 });
        using client = Client.open(target);
        // Memory beyond 64 KiB goes back to the file system after a second.
        const payload = "x".repeat(60_000);
        for (let count = 0; count < 4; count++) await client.request(payload);
        spawnSync("sync", ["-f", at]);
        fill(at);
        for (let round = 0; round < 20; round++) {
          assertEquals(text(await client.request(payload)), payload);
          spawnSync("sync", ["-f", at]);
        }
        await server.killed();
        rmSync(join(at, "filler"));
      }),
    { skip: noLoop },
  );
}

test(
  "btrfs: a file that is copied on write is refused",
  () =>
    onFileSystem("btrfs", 2 ** 28, async (at) => {
      const target = join(at, "channel.tandem");
      Server.create(target, { slots: 2 }).close();
      // A copy of the bytes is a file of the usual kind.
      const copy = join(at, "copy.tandem");
      spawnSync("cp", ["--sparse=always", "--reflink=never", target, copy]);
      assertThrowsCode(() => Server.open(copy), "UNSUPPORTED", "btrfs");
      await callAsleep(target);
    }),
  { skip: noLoop },
);

test(
  "xfs: blocks that a copy shares are made the channel's own",
  () =>
    onFileSystem("xfs", 3.2e8, async (at) => {
      const target = join(at, "channel.tandem");
      Server.create(target, { slots: 2 }).close();
      spawnSync("cp", ["--reflink=always", target, join(at, "copy.tandem")]);
      using server = Server.open(target);
      assertEquals(server.stats().servers, 1);
      const { stdout } = spawnSync("filefrag", ["-v", target], { encoding: "utf8" });
      assert(stdout.includes("extent"), stdout);
      assert(!stdout.includes("shared"), stdout);
      server.close();
      await callAsleep(target);
    }),
  { skip: noLoop },
);
