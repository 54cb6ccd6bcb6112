/**
 * Users and groups of the system, from whatever source the system has them.
 *
 * @module
 */
import { bindC, cString } from "./c_library.ts";
import { bytesAt, textAt } from "./c_memory.ts";

/** A user. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

interface Lookups {
  /** Addresses of structures, or 0. */
  getpwnam(name: Uint8Array): bigint;
  getpwuid(uid: number): bigint;
  getgrnam(name: Uint8Array): bigint;
}

let bound: Lookups | undefined;

function c(): Lookups {
  return bound ??= bindC<Lookups>({
    getpwnam: { parameters: ["buffer"], result: "size", cold: true },
    getpwuid: { parameters: ["u32"], result: "size", cold: true },
    getgrnam: { parameters: ["buffer"], result: "size", cold: true },
  });
}

/**
 * Finds a user by name, else by number.
 *
 * @throws {RangeError} when there is none
 */
export function findUser(user: string | number): Account {
  const { getpwnam, getpwuid } = c();
  let address = getpwnam(cString(String(user)));
  if (!address && isNumber(user)) address = getpwuid(Number(user));
  if (address) return accountAt(address);
  throw new RangeError(
    `Cannot run as user ${
      JSON.stringify(user)
    }: the system has none; give the name or number of a user`,
  );
}

/**
 * Finds the number of a group by its name. A number needs no name.
 *
 * @throws {RangeError} when there is none
 */
export function findGroup(group: string | number): number {
  const address = c().getgrnam(cString(String(group)));
  if (address) return read(address, 20).getUint32(16, true);
  if (isNumber(group)) return Number(group);
  throw new RangeError(
    `Cannot run as group ${
      JSON.stringify(group)
    }: the system has none; give the name or number of a group`,
  );
}

function isNumber(id: string | number): boolean {
  return /^\d{1,10}$/.test(String(id)) && Number(id) < 2 ** 32 - 1;
}

/** A `struct passwd`, which is the same in both C libraries and on both architectures. */
function accountAt(address: bigint): Account {
  const fields = read(address, 48);
  return {
    name: textAt(fields.getBigUint64(0, true)),
    uid: fields.getUint32(16, true),
    gid: fields.getUint32(20, true),
    home: textAt(fields.getBigUint64(32, true)),
  };
}

function read(address: bigint, length: number): DataView {
  return new DataView(bytesAt(address, length).buffer);
}
