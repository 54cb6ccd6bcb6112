/**
 * What is stored for a claim: whose it is.
 *
 * @module
 */
import { TandemError } from "../../../errors.ts";

export interface ClaimRecord {
  /** Of the claim; no two claims have the same. */
  readonly id: string;
  /** The claim counts as long as this lease does. */
  readonly lease: string;
  /** The node, for people. */
  readonly node: string;
}

const version = 1;

export function encodeClaim(record: ClaimRecord): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify({ version, ...record }));
}

/** @throws {TandemError} `CORRUPT`, `INCOMPATIBLE` */
export function decodeClaim(data: Uint8Array, subject: string): ClaimRecord {
  const record = parsed(data);
  const found = record?.["version"];
  if (typeof found === "number" && found !== version) {
    throw new TandemError(
      "INCOMPATIBLE",
      `Cannot read the claim at ${subject}: it has version ${found}, and this package reads version ${version}`,
    );
  }
  const { id, lease, node } = record ?? {};
  if (
    found === version && typeof id === "string" && isLease(lease) && typeof node === "string"
  ) {
    return { id, lease, node };
  }
  throw new TandemError(
    "CORRUPT",
    `Cannot read the claim at ${subject}: its value in NATS is damaged; end the nodes that claim it, and remove the key`,
  );
}

/** It becomes a part of a subject. */
function isLease(lease: unknown): lease is string {
  return typeof lease === "string" && /^[0-9a-f]{32}$/.test(lease);
}

function parsed(data: Uint8Array): Partial<Record<string, unknown>> | null {
  try {
    return JSON.parse(new TextDecoder().decode(data)) as Partial<Record<string, unknown>> | null;
  } catch {
    return null;
  }
}
