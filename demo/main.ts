/**
 * The demo: a Deno process, a Bun process and a Node process serve one channel. Clients in all three
 * runtimes send them every file of a tree and check the answers. Halfway the demo kills one server, and no
 * file is lost.
 *
 *     scripts/demo [--help]
 *
 * This process starts the others and gives them their work over a second channel.
 *
 * @module
 */
import process from "node:process";
import { whole } from "../bench/lib/stats.ts";
import { readOptions } from "./options.ts";
import { Run } from "./run.ts";
import { listFiles, requestBytesMax, type TreeFile } from "./tree.ts";

await main();
process.exit();

async function main(): Promise<void> {
  const options = readOptions();
  const all = listFiles(options.tree, options.limit);
  const files = all.filter(({ bytes }) => bytes <= requestBytesMax);
  if (files.length < all.length) {
    console.log(`${all.length - files.length} files are larger than 1 GiB and left out`);
  }
  if (files.length === 0) {
    console.log(`There are no files in ${options.tree}`);
    return;
  }
  console.log(
    `${whole(files.length)} files, ${whole(totalBytes(files))} bytes, in ${options.tree}`,
  );
  const run = new Run(options, files);
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    process.once(signal, () => {
      process.exitCode = code;
      run.stop(`stopped by ${signal}`);
    });
  }
  try {
    await run.finished;
    run.printSummary();
    const lost = files.length - run.tally.settled + run.tally.failed.length;
    if (lost > 0) throw new Error(`${lost} files have no good answer`);
  } catch (error) {
    process.exitCode ||= 1;
    console.error(`demo: ${(error as Error).message}`);
  } finally {
    await run.cleanUp();
  }
}

function totalBytes(files: readonly TreeFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
