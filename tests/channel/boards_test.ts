/** Boards: what a participant publishes for all others. */
import { assert, assertEquals } from "@std/assert";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import process from "node:process";
import {
  boardBytesMax,
  countBoards,
  followBoards,
  readBoard,
  readBoardStart,
  writeBoard,
} from "../../src/channel/boards.ts";
import { ClientCore } from "../../src/channel/client_core.ts";
import { ServerCore } from "../../src/channel/server_core.ts";
import { Roll } from "../../src/channel/roll.ts";
import type { Member } from "../../src/channel/roster.ts";
import {
  assertThrowsCode,
  bytes,
  eventually,
  newTarget,
  ownRuntime,
  present,
  spawn,
  test,
  text,
} from "../support/harness.ts";

const small = { slots: 1, maxRequestBytes: 0, maxResponseBytes: 0 };

/** The two ends of a channel, and the first one as the second sees it. */
function pair(): { writer: ServerCore; reader: ClientCore; target: string; member: () => Member } {
  const target = newTarget();
  const writer = ServerCore.create(target, small);
  const reader = ClientCore.open(target);
  const member = () => present(reader.members().find(({ role }) => role === "server"));
  return { writer, reader, target, member };
}

/** Where the writer's board is. */
function boardFile(target: string): string {
  const folder = join(`${target}.bells`, present(readdirSync(`${target}.bells`)[0]));
  return join(folder, present(readdirSync(folder).find((name) => name.startsWith("d"))));
}

test("a board is read as a whole, and replaced as a whole", () => {
  const { writer, reader, member } = pair();
  assertEquals(readBoard(reader, member()), null);
  assertEquals(member().board, 0);
  writeBoard(writer, bytes("one"));
  assertEquals(text(present(readBoard(reader, member()))), "one");
  assertEquals(member().board, 1);
  const long = new Uint8Array(1 << 20).fill(7);
  writeBoard(writer, long);
  assertEquals(present(readBoard(reader, member())), long);
  writeBoard(writer, new Uint8Array(0));
  assertEquals(present(readBoard(reader, member())).byteLength, 0);
  assertEquals(member().board, 3);
  assertEquals(countBoards(reader), 3);
  const old = member();
  writer.close();
  assertEquals(readBoard(reader, old), null);
  reader.close();
});

test("the longest board, and one that is too long", () => {
  const { writer, reader, member } = pair();
  writeBoard(writer, new Uint8Array(boardBytesMax).fill(9));
  assertThrowsCode(() => writeBoard(writer, new Uint8Array(boardBytesMax + 1)), "TOO_LARGE");
  const board = present(readBoard(reader, member()));
  assertEquals([board.byteLength, board.at(-1)], [boardBytesMax, 9]);
  writer.close();
  reader.close();
});

test("whatever is in the place of a board, it is no board and blocks nobody", () => {
  const { writer, reader, target, member } = pair();
  writeBoard(writer, bytes("x".repeat(100_000)));
  const file = boardFile(target);
  truncateSync(file, boardBytesMax + 1);
  assertEquals(readBoard(reader, member()), null);
  const strange: Record<string, () => void> = {
    nothing: () => {},
    "a link": () => symlinkSync("/etc/hostname", file),
    "a folder": () => mkdirSync(file),
    "a FIFO": () => assertEquals(spawnSync("mkfifo", [file]).status, 0),
  };
  for (const [what, make] of Object.entries(strange)) {
    rmSync(file, { recursive: true, force: true });
    make();
    assertEquals(readBoard(reader, member()), null, what);
  }
  rmSync(file, { recursive: true });
  writeFileSync(file, "anything");
  chmodSync(file, 0o600);
  assertEquals(text(present(readBoard(reader, member()))), "anything");
  // Only root can give a file to another user.
  if (process.geteuid!() === 0) {
    chownSync(file, 2_000_000_000, 2_000_000_000);
    assertEquals(readBoard(reader, member()), null, "a file of another user");
  }
  writeBoard(writer, bytes("again"));
  assertEquals(text(present(readBoard(reader, member()))), "again");
  writer.close();
  reader.close();
});

test("who follows boards is woken by each, and who does not sleeps on", async () => {
  const { writer, reader } = pair();
  let seen = 0;
  reader.watchMembers(() => seen = countBoards(reader));
  followBoards(reader);
  for (let count = 1; count <= 20; count++) {
    writeBoard(writer, bytes(`${count}`));
    await eventually(() => seen === count, `board ${count} is seen`);
  }
  writer.close();
  reader.close();
});

for (const name of ownRuntime) {
  test(`${name}: a board goes with the process that is killed`, async () => {
    const target = newTarget();
    const reader = ServerCore.create(target, small);
    const child = await spawn(name, "sentinels.ts", [target, "1", "board"]);
    await child.expect("watching");
    const member = present(reader.members().find(({ pid }) => pid === child.pid));
    assertEquals(text(present(readBoard(reader, member))), "0");
    assert(boardFile(target));
    let listened = 0;
    reader.watchMembers(() => listened++);
    await child.killed();
    await eventually(() => reader.departures > 0, "the death is seen");
    assertEquals(readBoard(reader, member), null);
    await eventually(() => reader.members().length === 1 && listened > 0, "it is gone");
    const folder = join(`${target}.bells`, present(readdirSync(`${target}.bells`)[0]));
    assertEquals(readdirSync(folder).filter((file) => file.startsWith("d")), []);
    reader.close();
  });
}

test("the beginning of a board can be read alone", () => {
  const { writer, reader, member } = pair();
  assertEquals(readBoardStart(reader, member(), 3), null);
  writeBoard(writer, bytes("a board"));
  assertEquals(text(present(readBoardStart(reader, member(), 3))), "a b");
  assertEquals(text(present(readBoardStart(reader, member(), 7))), "a board");
  assertEquals(text(present(readBoardStart(reader, member(), 100))), "a board");
});

test("a roll tells where participants have come and gone, or have published", () => {
  const { writer, reader, target } = pair();
  const roll = new Roll(reader);
  assertEquals(roll.changed(), [0, 1]);
  assertEquals(roll.changed(), []);
  writeBoard(writer, bytes("one"));
  assertEquals(roll.changed(), [0]);
  // More than the roll has room for at first.
  const others = Array.from({ length: 200 }, () => ServerCore.open(target));
  const places = Array.from({ length: 200 }, (_, index) => index + 2);
  assertEquals(roll.changed(), places);
  others[100]!.close();
  assertEquals(roll.changed(), [102]);
  // Another participant has the place.
  others[100] = ServerCore.open(target);
  others[7]!.close();
  assertEquals(roll.changed(), [9, 102]);
  for (const other of others) other.close();
  assertEquals(roll.changed(), places.filter((place) => place !== 9));
  assertEquals(roll.changed(), []);
});
