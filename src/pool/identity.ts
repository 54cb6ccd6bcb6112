/**
 * The user as whom workers run.
 *
 * @module
 */
import { findGroup, findUser } from "../runtime/accounts.ts";

// The parts that are used, declared here so that the file type-checks under every compiler.
interface Global {
  readonly process: {
    getBuiltinModule(name: "node:fs"): {
      fchownSync(fd: number, user: number, group: number): void;
      fchmodSync(fd: number, mode: number): void;
    };
    getuid(): number;
  };
}

/** Numbers of a user and a group; undefined: those of this process. */
export interface Identity {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/**
 * The user, and the group or else that of the user.
 *
 * @throws {RangeError} when the system has no such user or group
 */
export function identityOf(
  user: string | number | undefined,
  group: string | number | undefined,
): Identity {
  const gid = group === undefined ? undefined : findGroup(group);
  if (user === undefined) return { uid: undefined, gid };
  // In a container, users often have only numbers.
  if (typeof user === "number" && gid !== undefined) return { uid: user, gid };
  const account = findUser(user);
  return { uid: account.uid, gid: gid ?? account.gid };
}

/** Lets the members of a group open a channel, as workers of another user do. */
export function shareWith(fd: number, group: number): void {
  const { process } = globalThis as unknown as Global;
  const { fchownSync, fchmodSync } = process.getBuiltinModule("node:fs");
  fchownSync(fd, process.getuid(), group);
  fchmodSync(fd, 0o660);
}
