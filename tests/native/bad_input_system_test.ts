/**
 * Refusals by the system: other users' files, full and odd file systems, old kernels, limits. Each
 * case runs in a separate process, in every runtime, which has to end by itself in an orderly way.
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Server } from "../../mod.ts";
import { assertTold } from "../support/bad_input_assert.ts";
import type { Outcome, Step } from "../fixtures/bad_input.ts";
import { asOtherUser, noRoot, otherUser, withMount, works } from "../support/privileges.ts";
import {
  Child,
  fixtureCommand,
  folder,
  newTarget,
  ownRuntime,
  type Runtime,
  test,
} from "../support/harness.ts";

const fixture = fileURLToPath(new URL("../fixtures/bad_input.ts", import.meta.url));

const noOtherUser = noRoot ??
  (works([...asOtherUser, "test", "-r", fixture]) ? null : "another user cannot read this folder");
const noMount = noRoot ??
  (works(withMount("tmpfs", "size=16k", "/mnt").concat("true")) ? null : "mounting is refused");
const noOldKernel = works(["setarch", "--uname-2.6", "true"]) ? null : "setarch is missing";
const noLimits = works(["prlimit", "--nofile=60", "true"]) ? null : "prlimit is missing";

interface Case {
  /** Why it cannot run here. */
  readonly skip?: string | null;
  /** The command that starts the process. */
  readonly command?: () => readonly string[];
  /** Default: the test's folder. */
  readonly env?: () => Readonly<Record<string, string | undefined>>;
  readonly denoPermissions?: readonly string[];
  readonly only?: Runtime;
  /** Removes leftovers, also after a failure. */
  readonly end?: () => void;
}

/** Runs steps in a process of each runtime and hands their outcomes to `check`. */
function testSteps(
  name: string,
  options: Case,
  steps: () => readonly Step[],
  check: (outcomes: Outcome[]) => void,
): void {
  for (const runtime of ownRuntime) {
    if (options.only && options.only !== runtime) continue;
    const title = `${runtime}: ${name}`;
    const body = async () => check(await run(runtime, steps(), options));
    test(title, body, { skip: options.skip ?? null });
  }
}

async function run(runtime: Runtime, steps: readonly Step[], options: Case): Promise<Outcome[]> {
  const { command = () => [], env = () => ({}), denoPermissions = ["--allow-ffi"] } = options;
  const program = fixtureCommand(runtime, "bad_input.ts", [JSON.stringify(steps)], denoPermissions);
  const [first, ...rest] = [...command(), ...program];
  const variables = { ...process.env, TANDEM_DIR: folder(), NO_COLOR: "1", ...env() };
  const child = new Child(`${runtime} ${JSON.stringify(steps)}`, first!, rest, variables);
  try {
    const outcomes = await child.message<Outcome[]>();
    await child.ended();
    assertEquals(outcomes.length, steps.length);
    return outcomes;
  } finally {
    child.kill("SIGKILL");
    await child.closed;
    options.end?.();
  }
}

/** Makes a folder that belongs to the other user, in a folder that it can reach. */
function othersFolder(mode = 0o700): string {
  chmodSync(folder(), 0o711);
  const directory = join(folder(), "others");
  mkdirSync(directory);
  chownSync(directory, otherUser, otherUser);
  chmodSync(directory, mode);
  return directory;
}

/** A folder to mount something on. */
function mountPoint(): string {
  const directory = join(folder(), "mount");
  mkdirSync(directory, { recursive: true });
  return directory;
}

function values(outcomes: readonly Outcome[]): unknown[] {
  return outcomes.map((outcome) => "value" in outcome ? outcome.value : outcome);
}

testSteps(
  "another user's channel: PERMISSION, and it stays",
  { skip: noOtherUser, command: () => asOtherUser },
  () => {
    chmodSync(folder(), 0o711);
    const target = newTarget();
    Server.create(target).close();
    return [["attach", target], ["open", target], ["create", target], ["unlink", target]];
  },
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "PERMISSION", folder(), "EACCES", "check owner and mode");
    }
    assert(statSync(join(folder(), "channel-0.tandem")).size > 0, "it is still there");
  },
);

testSteps(
  "another user's channel that all may use: calls are answered",
  { skip: noOtherUser, command: () => asOtherUser },
  () => {
    chmodSync(folder(), 0o711);
    const target = newTarget();
    Server.create(target, { mode: 0o666 }).close();
    return [["open", target], ["attach", target], ["call", 10], ["call", 50_000, "promise"]];
  },
  (outcomes) => assertEquals(values(outcomes).slice(2), ["ok", "ok"]),
);

testSteps(
  "another user's directory in TANDEM_DIR: PERMISSION names both users",
  { skip: noOtherUser, command: () => asOtherUser },
  () => {
    chmodSync(folder(), 0o711);
    return [["open", "x"], ["create", "x"], ["attach", "x"], ["unlink", "x"]];
  },
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "PERMISSION", '"x"', "user 0", `${otherUser}`, "TANDEM_DIR");
    }
    assertEquals(readdirSync(folder()), []);
  },
);

testSteps(
  "root in another user's directory: PERMISSION names that user",
  { skip: noOtherUser, env: () => ({ TANDEM_DIR: join(folder(), "others") }) },
  () => {
    othersFolder();
    return [["open", "x"], ["attach", "x"]];
  },
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "PERMISSION", `user ${otherUser}`, "TANDEM_DIR");
    }
  },
);

// The default folder of that user, which only this test uses.
const squatted = `/dev/shm/tandem-${otherUser}`;

testSteps(
  "a user's directory that another user has created: PERMISSION names both",
  {
    skip: noOtherUser,
    command: () => asOtherUser,
    env: () => ({ TANDEM_DIR: undefined }),
    end: () => rmdirSync(squatted),
  },
  () => {
    mkdirSync(squatted, { mode: 0o755 });
    return [["open", "x"], ["attach", "x"]];
  },
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "PERMISSION", "user 0", `${otherUser}`, "TANDEM_DIR");
    }
  },
);

for (const mode of [0o770, 0o702, 0o1777]) {
  testSteps(
    `a directory that others can write to (${mode.toString(8)}): PERMISSION`,
    { env: () => ({ TANDEM_DIR: join(folder(), "open") }) },
    () => {
      mkdirSync(join(folder(), "open"));
      chmodSync(join(folder(), "open"), mode);
      return [["open", "x"], ["create", "x"], ["attach", "x"], ["unlink", "x"]];
    },
    (outcomes) => {
      for (const outcome of outcomes) {
        assertTold(outcome, "PERMISSION", mode.toString(8), "chmod it to 700", "TANDEM_DIR");
      }
    },
  );
}

testSteps(
  "a TANDEM_DIR that is a file: PERMISSION",
  { env: () => ({ TANDEM_DIR: join(folder(), "file") }) },
  () => {
    writeFileSync(join(folder(), "file"), "notes");
    return [["open", "x"], ["attach", "x"]];
  },
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "PERMISSION", "directory for channels", "TANDEM_DIR");
    }
  },
);

testSteps(
  "a TANDEM_DIR whose parent is missing: NOT_FOUND",
  { env: () => ({ TANDEM_DIR: join(folder(), "nowhere", "below") }) },
  () => [["open", "x"], ["attach", "x"]],
  ([open, attach]) => {
    assertTold(open!, "NOT_FOUND", "directory for channels cannot be made", "TANDEM_DIR");
    assertTold(attach!, "NOT_FOUND", '"x"', "start its server");
  },
);

testSteps(
  "a folder or a channel that the user may not write to: PERMISSION",
  { skip: noOtherUser, command: () => asOtherUser },
  () => {
    const locked = othersFolder(0o500);
    const target = newTarget();
    Server.create(target, { mode: 0o444 }).close();
    return [["create", join(locked, "x.tandem")], ["open", join(locked, "x.tandem")], [
      "attach",
      target,
    ]];
  },
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "PERMISSION", folder(), "EACCES", "check owner and mode");
    }
  },
);

testSteps(
  "another user's interrupted create: PERMISSION to servers, CORRUPT to clients",
  { skip: noOtherUser, command: () => asOtherUser },
  () => {
    chmodSync(folder(), 0o777);
    const target = newTarget();
    writeFileSync(target, "");
    chmodSync(target, 0o666);
    return [["open", target], ["create", target], ["attach", target]];
  },
  ([open, create, attach]) => {
    for (const outcome of [open!, create!]) {
      assertTold(outcome, "PERMISSION", "interrupted create", "user 0", `user ${otherUser}`);
    }
    assertTold(attach!, "CORRUPT", "interrupted create", "Server");
  },
);

testSteps(
  "a full file system: a new channel is NO_SPACE",
  {
    skip: noMount,
    command: () => withMount("tmpfs", "size=16k", mountPoint()),
    env: () => ({ TANDEM_DIR: mountPoint() }),
  },
  () => [["open", "x"], ["create", "x"], ["attach", "x"], ["unlink", "x"]],
  ([open, create, attach, unlink]) => {
    assertTold(open!, "NO_SPACE", '"x"', "full", "ENOSPC", "free some");
    assertTold(create!, "NO_SPACE", '"x"', "full", "ENOSPC", "free some");
    assertTold(attach!, "NOT_FOUND");
    assertEquals(unlink, { value: false });
  },
);

testSteps(
  "a file system without room for one more file: NO_SPACE",
  {
    skip: noMount,
    command: () => withMount("tmpfs", "nr_inodes=1", mountPoint()),
    env: () => ({ TANDEM_DIR: mountPoint() }),
  },
  () => [["open", "x"], ["attach", "x"]],
  ([open, attach]) => {
    assertTold(open!, "NO_SPACE", '"x"', "full", "ENOSPC", "free some");
    assertTold(attach!, "NOT_FOUND");
  },
);

testSteps(
  "a full file system: long messages are NO_SPACE, and short ones still go",
  {
    skip: noMount,
    command: () => withMount("tmpfs", "size=400k", mountPoint()),
    env: () => ({ TANDEM_DIR: mountPoint() }),
  },
  () => [
    ["open", "x"],
    ["attach", "x"],
    ["call", 500_000],
    ["call", 500_000, "promise"],
    ["call", 500_000, "allocate"],
    ["queued"],
    ["call", 50],
    ["reply", 500_000],
    ["fill", 20_000],
    ["drain"],
    ["call", 50, "promise"],
  ],
  (outcomes) => {
    const full = ["full", "free some"];
    for (const outcome of outcomes.slice(2, 5)) assertTold(outcome, "NO_SPACE", ...full);
    assertEquals(values(outcomes.slice(5, 7)), [0, "ok"]);
    // The server's reply failed, and the request stayed open for a shorter one.
    const [reply] = values(outcomes.slice(7, 8));
    assertTold(JSON.parse(String(reply)), "NO_SPACE", "reply", ...full);
    assertTold(outcomes[8]!, "NO_SPACE", ...full);
    const [drained, last] = values(outcomes.slice(9));
    assert(Number(drained) > 5, `${drained} were sent before it was full`);
    assertEquals(last, "ok");
  },
);

testSteps(
  "a read-only file system: PERMISSION",
  {
    skip: noMount,
    command: () => withMount("tmpfs", "ro", mountPoint()),
    env: () => ({ TANDEM_DIR: mountPoint() }),
  },
  () => [["open", "x"], ["attach", "x"]],
  ([open, attach]) => {
    assertTold(open!, "PERMISSION", '"x"', "read-only", "EROFS");
    assertTold(attach!, "NOT_FOUND", '"x"');
  },
);

testSteps(
  "a file system that cannot set memory aside: UNSUPPORTED",
  {
    skip: noMount,
    command: () => withMount("ramfs", "size=16k", mountPoint()),
    env: () => ({ TANDEM_DIR: mountPoint() }),
  },
  () => [["open", "x"], ["attach", "x"]],
  ([open, attach]) => {
    assertTold(open!, "UNSUPPORTED", '"x"', "EOPNOTSUPP", "/dev/shm");
    assertTold(attach!, "NOT_FOUND", '"x"');
  },
);

testSteps(
  "a kernel that is too old: UNSUPPORTED",
  { skip: noOldKernel, command: () => ["setarch", "--uname-2.6"] },
  () => [["open", "x"], ["create", newTarget()], ["attach", newTarget()], ["anonymous"]],
  (outcomes) => {
    for (const outcome of outcomes) {
      assertTold(outcome, "UNSUPPORTED", "Linux 2.6", "is the oldest", "newer kernel");
    }
    assertEquals(readdirSync(folder()), [], "nothing was made");
  },
);

testSteps(
  "too many open files: NO_SPACE",
  { skip: noLimits, command: () => ["prlimit", "--nofile=60"] },
  () => [["open", "x"], ["attachMany", "x"], ["create", newTarget()], ["unlink", "x"]],
  ([open, many, create, unlink]) => {
    assertEquals(open, { value: join(folder(), "x.tandem") });
    assertTold(many!, "NO_SPACE", '"x"', "too many files", "EMFILE", "ulimit -n");
    assertTold(create!, "NO_SPACE", "too many files", "EMFILE", "ulimit -n");
    assertTold(unlink!, "NO_SPACE", "too many files", "EMFILE", "ulimit -n");
  },
);

testSteps(
  "a limit on the length of files: NO_SPACE",
  // Less than a channel, and more than Deno's own databases, which it may write to at its end.
  { skip: noLimits, command: () => ["prlimit", `--fsize=${2 ** 26}`] },
  () => [["open", "x"], ["anonymous"], ["attach", "x"]],
  ([open, anonymous, attach]) => {
    assertTold(open!, "NO_SPACE", '"x"', "EFBIG", "ulimit -f", "fewer slots");
    assertTold(anonymous!, "NO_SPACE", "EFBIG", "ulimit -f", "fewer slots");
    assertTold(attach!, "NOT_FOUND", '"x"');
  },
);

for (const flags of [[], ["--deny-ffi"], ["--allow-ffi=/nowhere"], ["--allow-all", "--deny-ffi"]]) {
  testSteps(
    `Deno's permissions without FFI (${flags.join(" ") || "no flag"}): PERMISSION`,
    { only: "deno", denoPermissions: ["--no-prompt", ...flags] },
    () => [["open", "x"], ["attach", "x"], ["anonymous"], ["unlink", "x"], ["open", "x"]],
    (outcomes) => {
      for (const outcome of outcomes) {
        assert("code" in outcome, JSON.stringify(outcome));
        assertEquals(outcome.code, "PERMISSION");
        assertStringIncludes(outcome.message, "Deno does not allow");
        assertStringIncludes(outcome.message, "run with --allow-ffi");
      }
    },
  );
}
