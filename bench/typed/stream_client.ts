/**
 * Reads a little of a stream of bytes at first, and all of it at a message of the parent.
 *
 * @module
 */
import process from "node:process";
import { connect } from "../../mod.ts";
import { listen, report } from "../lib/child.ts";
import type { Streamed } from "../typed.ts";
import type { Api } from "./api.ts";

const [target = "", pieceBytes = "", total = ""] = process.argv.slice(2);
using remote = connect<Api>(target);

await read(64 * Number(pieceBytes));
report("ready");
listen(async () => {
  report(await read(Number(total)));
  process.exit();
});
await new Promise(() => {});

async function read(total: number): Promise<Streamed> {
  const begin = performance.now();
  let bytes = 0;
  for await (const piece of remote.pieces(Number(pieceBytes), total)) {
    if (piece[0] !== 1 || piece.at(-1) !== 1) {
      throw new Error("the bytes differ from those that were sent");
    }
    bytes += piece.byteLength;
  }
  return { seconds: (performance.now() - begin) / 1e3, bytes };
}
