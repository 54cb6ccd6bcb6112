/**
 * A server of the demo, for either runtime. In Deno it needs `--allow-ffi` and nothing else: the
 * files come to it in the requests.
 *
 *     server.ts TARGET NUMBER BUSY_BYTES
 *
 * @module
 */
import { createHash } from "node:crypto";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { Server, TandemError } from "../mod.ts";
import { encodeAnswer } from "./messages.ts";
import { whenOver } from "./orphan.ts";

const [target = "", number = "", busyBytes = ""] = process.argv.slice(2);
const server = Server.open(target);
whenOver(() => {
  // Nobody else does it when the main process was killed.
  server.unlink();
  server.close();
});

const serving = server.serve((request) => {
  // Hashing and zlib get a copy: another process could change the shared bytes under them.
  const bytes = request.copy();
  // A moment at which the main process may kill a server that has something to lose.
  if (bytes.byteLength >= Number(busyBytes)) console.log("busy");
  return encodeAnswer({
    sha256: createHash("sha256").update(bytes).digest(),
    gzipBytes: gzipSync(bytes).byteLength,
    server: Number(number),
  });
});
try {
  await serving;
} catch (error) {
  // The other server, or the main process, has removed the channel: the work is over.
  if (!(error instanceof TandemError) || error.code !== "NOT_FOUND") throw error;
}
process.exit();
