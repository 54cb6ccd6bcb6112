/**
 * Requests that a process has passed on for a peer of its own, such as a client of ZeroMQ. The peer knows nothing of
 * methods and values: it sends bytes and gets bytes.
 *
 * @module
 */
import { bytesOfBuffer, bytesOfView, isAnyBuffer } from "../base/brands.ts";
import { describe } from "../base/checks.ts";
import { TandemError } from "../errors.ts";
import type { Bytes } from "../transport/transport.ts";
import { bareName, listMethods, type Offered } from "./interface.ts";

/**
 * The method that such a request calls: the given one; otherwise the bare function, or the only method.
 *
 * @throws {TandemError} `UNKNOWN_METHOD`
 */
export function forwardedMethod(
  methods: ReadonlyMap<string, Offered>,
  name: string | undefined,
): Offered {
  const found = name === undefined
    ? methods.get(bareName) ?? onlyMethod(methods)
    : methods.get(name);
  if (found && !found.isHidden) return found;
  const tried = name === undefined
    ? "a method with a request that names none"
    : JSON.stringify(name);
  throw new TandemError(
    "UNKNOWN_METHOD",
    `Cannot call ${tried}: ${listMethods(methods)}; ` +
      "serve a bare function, or one method, or name one: with the option `method` of a door, or the header Tandem-Method",
  );
}

/** The method of a service that has no other. */
function onlyMethod(methods: ReadonlyMap<string, Offered>): Offered | undefined {
  let only: Offered | undefined;
  for (const method of methods.values()) {
    if (method.isHidden) continue;
    if (only) return undefined;
    only = method;
  }
  return only;
}

/**
 * The answer to such a request.
 *
 * @throws {TandemError} `NOT_SERIALIZABLE` for a result that is no bytes
 */
export function forwardedAnswer(result: unknown): Bytes {
  if (typeof result === "string") return new TextEncoder().encode(result);
  if (result === undefined || result === null || typeof result === "boolean") {
    return new Uint8Array();
  }
  const bytes = ArrayBuffer.isView(result)
    ? bytesOfView(result)
    : isAnyBuffer(result)
    ? bytesOfBuffer(result)
    : null;
  if (bytes) return bytes;
  throw new TandemError(
    "NOT_SERIALIZABLE",
    `Cannot send ${describe(result)} to a program without this package: return a string or bytes`,
  );
}
