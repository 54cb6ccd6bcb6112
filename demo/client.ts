/**
 * A client of the demo, for any runtime. In Deno it needs `--allow-ffi`, and `--allow-read` for the
 * tree.
 *
 *     client.ts TARGET WORK_TARGET LANES
 *
 * Several lanes ask the main process, which serves the work target, for files. Each lane sends one file at a
 * time, and the lanes together always keep requests waiting.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { Client, type ErrorCode, Server, TandemError } from "../mod.ts";
import { backend } from "../src/runtime/current.ts";
import {
  type Answer,
  answerBytes,
  type Batch,
  type Checked,
  decodeAnswer,
  type Failed,
  type Job,
  type Report,
} from "./messages.ts";
import { onEnd } from "./end.ts";

const endCodes: ReadonlySet<ErrorCode> = new Set(["CANCELLED", "NOT_FOUND", "CLOSED"]);

const [target = "", workTarget = "", lanes = ""] = process.argv.slice(2);
const client = Client.open(target);
const work = Client.open(workTarget);
onEnd(() => {
  // No other process does this if the main process was killed.
  Server.unlink(workTarget);
  close();
});
try {
  await Promise.all(Array.from({ length: Number(lanes) }, runLane));
} catch (error) {
  // The main process removes the channels when it stops the run.
  if (!(error instanceof TandemError && endCodes.has(error.code))) throw error;
}
close();
process.exit();

function close(): void {
  client.close();
  work.close();
}

async function runLane(): Promise<void> {
  const into = new Uint8Array(answerBytes);
  let checked: Checked[] = [];
  let failed: Failed[] = [];
  for (;;) {
    const report: Report = { runtime: backend().name, checked, failed };
    const answer = await work.request(JSON.stringify(report));
    const batch = JSON.parse(new TextDecoder().decode(answer)) as Batch;
    if (batch.length === 0) return;
    [checked, failed] = [[], []];
    for (const job of batch) {
      try {
        checked.push(await send(job, into));
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const isUnread = code === "ENOENT" || code === "EACCES";
        failed.push({ path: job.path, reason: message, isUnread });
      }
    }
  }
}

/** Sends a file and checks the answer. */
async function send({ path, isSample }: Job, into: Uint8Array<ArrayBuffer>): Promise<Checked> {
  using file = openFile(path);
  // The client reads the file directly into the request.
  using draft = client.allocate(file.bytes);
  readAll(file.fd, draft.bytes);
  // Hashing and zlib get a copy, because another process could change the shared bytes meanwhile.
  const bytes = draft.bytes.slice();
  const sha256 = createHash("sha256").update(bytes).digest();
  const gzipBytes = isSample ? gzipSync(bytes).byteLength : undefined;

  const begin = performance.now();
  const answer = decodeAnswer(await draft.request({ into }));
  const latencyMs = performance.now() - begin;

  if (!sha256.equals(answer.sha256)) throw new Error("the answer has another SHA-256");
  checkSize(answer, file.bytes, gzipBytes);
  const { server } = answer;
  return { server, bytes: file.bytes, gzipBytes: answer.gzipBytes, isSample, latencyMs };
}

function openFile(path: string): Disposable & { readonly fd: number; readonly bytes: number } {
  const fd = openSync(path, "r");
  return { fd, bytes: fstatSync(fd).size, [Symbol.dispose]: () => closeSync(fd) };
}

function readAll(fd: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.byteLength;) {
    const read = readSync(fd, bytes, offset, bytes.byteLength - offset, null);
    if (read === 0) throw new Error("the file became shorter while the client read it");
    offset += read;
  }
}

/**
 * Checks that gzip can produce this size. The size of a sample must be the client's own. From a server in
 * another runtime, which has another version of zlib, it may differ by a fifth.
 */
function checkSize(answer: Answer, bytes: number, expected: number | undefined): void {
  const [low, high] = expected === undefined
    ? [20, bytes * 1.001 + 64]
    : answer.runtime === backend().name
    ? [expected, expected]
    : [expected * 0.8 - 8, expected * 1.2 + 8];
  if (answer.gzipBytes >= low && answer.gzipBytes <= high) return;
  throw new Error(`the gzip size ${answer.gzipBytes} is not from ${low} to ${high}`);
}
