/**
 * The user as whom workers run.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { findGroup, findUser } from "../../runtime/accounts.ts";
import { bindC } from "../../runtime/c_library.ts";

interface Calls {
  fchown(fd: number, user: number, group: number): number;
  fchmod(fd: number, mode: number): number;
}

/** For `fchown`: the user stays. */
const sameUser = 2 ** 32 - 1;

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

/**
 * Lets the members of a group open a channel, as workers of another user do.
 *
 * @throws {TandemError} `PERMISSION`
 */
export function shareWith(fd: number, group: number): void {
  const { fchown, fchmod } = bindC<Calls>({
    fchown: { parameters: ["u32", "u32", "u32"], result: "i32", cold: true },
    fchmod: { parameters: ["u32", "u32"], result: "i32", cold: true },
  });
  if (fchown(fd, sameUser, group) === 0 && fchmod(fd, 0o660) === 0) return;
  throw new TandemError(
    "PERMISSION",
    `Cannot give group ${group} access to the pool's channels: the operating system refused; run the ` +
      "supervisor as root, or give a group that it belongs to",
  );
}
