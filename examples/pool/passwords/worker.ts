/**
 * A worker: it hashes passwords, which is slow on purpose and keeps a processor busy.
 *
 * @module
 */
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { work } from "@tandem/ipc/pool";

/** 32 MiB and about 100 ms for each password. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 2 ** 20 };
const keyBytes = 32;

const passwords = {
  hash(password: string): string {
    const salt = randomBytes(16);
    return `${salt.toString("base64")}.${keyOf(password, salt).toString("base64")}`;
  },

  verify(password: string, hash: string): boolean {
    const [salt, key] = hash.split(".").map((part) => Buffer.from(part, "base64"));
    if (salt === undefined || key?.length !== keyBytes) throw new TypeError("this is no hash");
    return timingSafeEqual(keyOf(password, salt), key);
  },
};
export type Passwords = typeof passwords;

work(passwords);

function keyOf(password: string, salt: Uint8Array): Buffer {
  return scryptSync(password.normalize("NFKC"), salt, keyBytes, cost);
}
