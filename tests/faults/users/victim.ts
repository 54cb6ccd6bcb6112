/**
 * Opens, uses, closes and removes channels in a folder that another user attacks. Every operation has
 * to succeed, or to end with an error that has a code.
 *
 *     victim.ts SHARED SECONDS CHANNEL…
 *
 * @module
 */
import process from "node:process";
import { Client, connect, serve, Server, TandemError } from "../../../mod.ts";
import { readBoard, writeBoard } from "../../../src/channel/boards.ts";
import { ServerCore } from "../../../src/channel/server_core.ts";

const [shared, seconds, ...channels] = process.argv.slice(2) as [string, string, ...string[]];
const counts: Record<string, number> = {};
const faults: string[] = [];

const api = {
  echo: (value: unknown): unknown => value,
  *count(to: number): Generator<number> {
    for (let number = 0; number < to; number++) yield number;
  },
  length: (bytes: Uint8Array): number => bytes.byteLength,
};

function check(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(`wrong: ${what}`);
}

async function raw(target: string, mode: number): Promise<void> {
  await using server = Server.open(target, { mode, slots: 16 });
  const stop = new AbortController();
  // It rejects when the other victim removes the channel.
  const serving = server.serve((request) => request.copy(), { signal: stop.signal })
    .catch(() => {});
  try {
    using client = Client.open(target);
    for (let round = 0; round < 5; round++) {
      const text = `${process.pid} ${round}`;
      const answer = await client.request(text, { timeout: 20_000 });
      check(new TextDecoder().decode(answer) === text, "an echo");
      // So that both sides sleep sometimes.
      if (round % 2) await new Promise((resolve) => setTimeout(resolve, 2));
    }
  } finally {
    stop.abort();
    await serving;
  }
}

async function typed(target: string, mode: number): Promise<void> {
  await using service = serve(target, api, { mode, slots: 16 });
  using remote = connect<typeof api>(target, { timeout: 20_000 });
  check(await remote.echo(service.path) === service.path, "a typed echo");
  let next = 0;
  for await (const number of remote.count(5)) check(number === next++, "an item");
  check(next === 5, "all items");
  const byteLength = 2 ** 21;
  check(await remote.length(new Uint8Array(byteLength)) === byteLength, "a long message");
}

/** A board that another user may remove, but not make. */
function board(target: string, mode: number): void {
  const writer = ServerCore.open(target, { mode, slots: 16 });
  try {
    for (const text of ["short", "longer".repeat(1_000)]) {
      writeBoard(writer, new TextEncoder().encode(`${process.pid} ${text}`));
      for (const member of writer.members()) {
        const found = readBoard(writer, member);
        if (member.uid !== process.getuid!() || member.pid !== process.pid || !found) continue;
        const said = new TextDecoder().decode(found);
        check(said === `${process.pid} ${text}`, `a board says ${said.slice(0, 40)}`);
      }
    }
  } finally {
    writer.close();
  }
}

async function attempt(name: string, body: () => unknown): Promise<void> {
  let outcome = "ok";
  try {
    await body();
  } catch (error) {
    outcome = error instanceof TandemError ? error.code : "fault";
    if (outcome === "fault") {
      faults.push(`${name}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  const key = `${name} ${outcome}`;
  counts[key] = (counts[key] ?? 0) + 1;
  // Its name is taken: perhaps later.
  if (outcome !== "ok") await new Promise((resolve) => setTimeout(resolve, 1));
}

process.on("unhandledRejection", (error) => faults.push(`unhandled: ${error}`));

const end = performance.now() + Number(seconds) * 1000;
// Each channel at least once, though the machine may stand still for the whole time.
const isOver = (round: number) => round >= channels.length && performance.now() >= end;
for (let round = 0; !isOver(round) && faults.length === 0; round++) {
  const index = round % channels.length;
  const target = `${shared}/${channels[index]}`;
  // The first ones are for all users, the last is private.
  const mode = index === channels.length - 1 ? 0o600 : 0o666;
  if (index % 2 === 0) await attempt("raw", () => raw(target, mode));
  else await attempt("typed", () => typed(target, mode));
  if (index % 2 === 0) await attempt("board", () => board(target, mode));
  if (round % 3 === 0) await attempt("unlink", () => Server.unlink(target));
}
console.log(JSON.stringify({ counts, faults }));
process.exit();
