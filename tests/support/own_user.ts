/** The user of this process. */
import process from "node:process";
import { runtime } from "./harness.ts";

interface Permissions {
  querySync(permission: { readonly name: "sys"; readonly kind: "uid" }): { readonly state: string };
}

/** The effective user id; -1 where Deno does not tell it, as the package reports it then. */
export function ownUid(): number {
  if (runtime === "deno") {
    const { Deno } = globalThis as unknown as { Deno: { permissions: Permissions } };
    if (Deno.permissions.querySync({ name: "sys", kind: "uid" }).state !== "granted") return -1;
  }
  return process.geteuid!();
}
