/**
 * The right to a node id. Two living nodes of a group never have the same: the kernel gives the lock back when
 * its process dies, however it dies.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { hashOf } from "../../limit/lock_names.ts";
import { NameLock } from "../name_lock.ts";

/**
 * @throws {TandemError} `EXISTS` when a living node has the id
 */
export function ownId(group: string, id: string, mode: number | undefined): NameLock {
  // An id may be longer than a file's name, and has other characters; the prefix allows a longer name.
  const target = `${group.includes("/") ? group : `lock__${group}`}.id-${hashOf(id)}`;
  const lock = NameLock.take(target, mode);
  if (lock !== null) return lock;
  throw new TandemError(
    "EXISTS",
    `Cannot start a node with the id ${JSON.stringify(id)}: a living node of the group ` +
      `${JSON.stringify(group)} has it; use another id, or leave it out`,
  );
}
