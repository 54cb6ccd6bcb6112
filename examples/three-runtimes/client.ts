/**
 * Calls the server, which may run on another runtime.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { Client, RemoteError } from "@tandem/ipc";

using client = await Client.connect("example-three-runtimes", { timeout: 10_000 });

const server = new TextDecoder().decode(await client.request("who"));
console.log(`${navigator.userAgent} asks ${server}`);

// Sends a megabyte and gets a few kilobytes.
const page = new TextEncoder().encode(
  "All work and no play makes Jack a dull boy.\n".repeat(20_000),
);
const compressed = await client.request(page);
const isSame = gunzipSync(compressed).equals(page);
console.log(`${page.byteLength} bytes compressed there, uncompressed here: the same: ${isSame}`);

try {
  await client.request("fail");
} catch (error) {
  if (!(error instanceof RemoteError)) throw error;
  console.log(`it threw a ${error.remoteName}: ${error.remoteMessage} (${error.cause})`);
}
client.post("quit");
