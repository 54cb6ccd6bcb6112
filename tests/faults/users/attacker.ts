/**
 * A user that may write to the folder of a channel, and to the folder of its doorbells, and does everything
 * that can be done there by name: as quickly as it can, while others open, use and remove channels.
 *
 *     attacker.ts UID SHARED PRECIOUS SEED CHANNEL…
 *
 * Started by root, it becomes that user first. It stops at the end of stdin, and writes how often each of
 * its moves succeeded.
 *
 * @module
 */
import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import process from "node:process";
import { Random } from "../hostile/random.ts";

const [uid, shared, precious, seed, ...channels] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  ...string[],
];
const random = new Random(Number(seed));
process.setgroups!([]);
process.setgid!(Number(uid));
process.setuid!(Number(uid));

/** Names that others will look up. */
function anyPath(): string {
  const channel = `${shared}/${random.pick(channels)}`;
  const user = random.pick(["u0", `u${uid}`]);
  // Seldom: a channel whose own name is taken is refused, and then there is nothing to attack.
  if (random.oneIn(500)) return channel;
  if (random.oneIn(50)) return `${channel}.bells`;
  switch (random.below(4)) {
    case 0:
      return `${channel}.bells/${user}`;
    case 1:
      return `${channel}.bells/${user}/p0-1-1.bells`;
    default:
      return `${channel}.bells/${user}/${random.pick(names)}`;
  }
}

/** Names of bells, seen or possible. */
let names = ["b0-1-1", "d0-1-1", "l0-1-1", "n0-1-1", "p0-1-1"];

function learnNames(): void {
  for (const channel of channels) {
    try {
      const seen = readdirSync(`${shared}/${channel}.bells/u${uid}`);
      if (seen.length > 0) names = [...seen, "p0-1-1"].slice(0, 50);
    } catch {
      // It does not exist.
    }
  }
}

const targets = [`${precious}/file`, `${precious}/folder`, `${precious}/fifo`, "/etc/passwd"];

const moves: Readonly<Record<string, () => void>> = {
  "make a folder": () => mkdirSync(anyPath(), { mode: 0o777 }),
  "make a folder in a folder": () => mkdirSync(`${anyPath()}/u0`, { mode: 0o777, recursive: true }),
  "make a link": () => symlinkSync(random.pick(targets), anyPath()),
  "link a file of the victim's": () => linkSync(random.pick(targets), anyPath()),
  "link a fifo": () => linkSync(`${precious}/../fifo-of-attacker`, anyPath()),
  "write a file": () => writeFileSync(anyPath(), "x".repeat(random.below(5000)), { flag: "wx" }),
  "rename": () => renameSync(anyPath(), anyPath()),
  "rename away": () => renameSync(anyPath(), `${shared}/away-${random.below(100)}`),
  "remove a file": () => unlinkSync(anyPath()),
  "remove a folder": () => rmdirSync(anyPath()),
  "open a folder to all": () => chmodSync(anyPath(), 0o777),
  "ring": () => {
    const fd = openSync(anyPath(), constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, new Uint8Array(random.below(100)));
    } finally {
      closeSync(fd);
    }
  },
};

/** Removes the entries that this user has put there. */
function giveBack(path: string): void {
  try {
    if (lstatSync(path).uid === Number(uid)) rmSync(path, { recursive: true });
  } catch {
    // It does not exist.
  }
}

let isOver = false;
process.stdin.on("end", () => isOver = true).resume();
const done: Record<string, number> = Object.fromEntries(
  Object.keys(moves).map((name) => [name, 0]),
);
console.log("begun");
while (!isOver) {
  learnNames();
  for (let count = 0; count < 200; count++) {
    const name = random.pick(Object.keys(moves));
    try {
      moves[name]!();
      done[name]! += 1;
    } catch {
      // Not allowed, or not there.
    }
  }
  for (const channel of channels) {
    for (const path of [`${shared}/${channel}`, `${shared}/${channel}.bells`]) giveBack(path);
  }
  await new Promise((resolve) => setTimeout(resolve, random.below(20)));
}
console.log(JSON.stringify(done));
process.exit();
