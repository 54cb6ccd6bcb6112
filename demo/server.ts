/**
 * A server of the demo, for any runtime. In Deno it needs only `--allow-ffi`, because the requests contain
 * the files.
 *
 *     server.ts TARGET NUMBER BUSY_BYTES
 *
 * @module
 */
import { createHash } from "node:crypto";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { Server, TandemError } from "../mod.ts";
import { backend } from "../src/runtime/current.ts";
import { encodeAnswer } from "./messages.ts";
import { onEnd } from "./end.ts";

const [target = "", number = "", busyBytes = ""] = process.argv.slice(2);
const server = Server.open(target);
onEnd(() => {
  // No other process does this if the main process was killed.
  server.unlink();
  server.close();
});

const serving = server.serve((request) => {
  // Hashing and zlib get a copy, because another process could change the shared bytes meanwhile.
  const bytes = request.copy();
  // The main process may kill this server now, while it holds a request.
  if (bytes.byteLength >= Number(busyBytes)) console.log("busy");
  return encodeAnswer({
    sha256: createHash("sha256").update(bytes).digest(),
    gzipBytes: gzipSync(bytes).byteLength,
    server: Number(number),
    runtime: backend().name,
  });
});
try {
  await serving;
} catch (error) {
  // Another server or the main process removes the channel at the end.
  if (!(error instanceof TandemError) || error.code !== "NOT_FOUND") throw error;
}
process.exit();
