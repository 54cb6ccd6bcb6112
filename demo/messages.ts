/**
 * The messages of the demo: the binary answers of the servers, and the JSON messages between the clients and
 * the main process.
 *
 * @module
 */

import { type RuntimeName, runtimeNames } from "../src/runtime/processes.ts";

/** The result of a server for a file. */
export interface Answer {
  readonly sha256: Uint8Array;
  readonly gzipBytes: number;
  /** The number of the server. */
  readonly server: number;
  /** The runtime of the server. */
  readonly runtime: RuntimeName;
}

const sha256Bytes = 32;

/** The length of an encoded answer. */
export const answerBytes: number = sha256Bytes + 8 + 4 + 1;

/** Encodes an answer. */
export function encodeAnswer(answer: Answer): Uint8Array {
  const bytes = new Uint8Array(answerBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(answer.sha256);
  view.setFloat64(sha256Bytes, answer.gzipBytes);
  view.setUint32(sha256Bytes + 8, answer.server);
  view.setUint8(sha256Bytes + 12, runtimeNames.indexOf(answer.runtime));
  return bytes;
}

/** Decodes an answer. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sha256: bytes.subarray(0, sha256Bytes),
    gzipBytes: view.getFloat64(sha256Bytes),
    server: view.getUint32(sha256Bytes + 8),
    runtime: runtimeNames[view.getUint8(sha256Bytes + 12)]!,
  };
}

/** A file whose answer the client has checked. */
export interface Checked {
  readonly server: number;
  readonly bytes: number;
  readonly gzipBytes: number;
  /** Whether the client compressed the file itself to compare the size. */
  readonly isSample: boolean;
  /** The time from the request to the answer, including the time in the queue. */
  readonly latencyMs: number;
}

/** A file without a good answer. */
export interface Failed {
  readonly path: string;
  readonly reason: string;
  /** Whether the client could not read the file, and did not send it. */
  readonly isUnread: boolean;
}

/** From a client to the main process: the results for its files. */
export interface Report {
  /** The runtime of the client. */
  readonly runtime: RuntimeName;
  readonly checked: readonly Checked[];
  readonly failed: readonly Failed[];
}

/** From the main process to a client: the next files to send; empty at the end. */
export type Batch = readonly Job[];

/** A file to send. */
export interface Job {
  readonly path: string;
  readonly isSample: boolean;
}
