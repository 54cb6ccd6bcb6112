/**
 * What the processes of the demo say to each other: the answers of the servers, in binary, and what
 * the clients and the main process exchange, in JSON.
 *
 * @module
 */

/** What a server finds out about a file. */
export interface Answer {
  readonly sha256: Uint8Array;
  readonly gzipBytes: number;
  /** The server's number. */
  readonly server: number;
}

const sha256Bytes = 32;

/** How long an encoded answer is. */
export const answerBytes: number = sha256Bytes + 8 + 4;

/** The bytes of an answer. */
export function encodeAnswer(answer: Answer): Uint8Array {
  const bytes = new Uint8Array(answerBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(answer.sha256);
  view.setFloat64(sha256Bytes, answer.gzipBytes);
  view.setUint32(sha256Bytes + 8, answer.server);
  return bytes;
}

/** The answer in those bytes. */
export function decodeAnswer(bytes: Uint8Array): Answer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    sha256: bytes.subarray(0, sha256Bytes),
    gzipBytes: view.getFloat64(sha256Bytes),
    server: view.getUint32(sha256Bytes + 8),
  };
}

/** A file that was sent, answered and checked. */
export interface Checked {
  readonly server: number;
  readonly bytes: number;
  readonly gzipBytes: number;
  /** Whether the client compressed the file itself to compare the size. */
  readonly isSample: boolean;
  /** From the sending of the request to the answer, waiting in the queue included. */
  readonly latencyMs: number;
}

/** A file that was not. */
export interface Failed {
  readonly path: string;
  readonly reason: string;
  /** It could not be read: it was never sent. */
  readonly isUnread: boolean;
}

/** A client to the main process: what became of the files it was given. */
export interface Report {
  readonly checked: readonly Checked[];
  readonly failed: readonly Failed[];
}

/** The main process to a client: what to send next; nothing: that was all. */
export type Batch = readonly Job[];

/** A file to send. */
export interface Job {
  readonly path: string;
  readonly isSample: boolean;
}
