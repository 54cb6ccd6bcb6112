/**
 * Turns this process into one of another user.
 *
 * A process that changes its user keeps what belonged to the former one: what it has opened, what runtimes have
 * remembered, and /proc entries that the new user may not read. So the process changes its user and then executes
 * its own command again. It keeps its id, for service managers and pid files, and all of it is the new user's.
 *
 * @module
 */
import { accessSync, constants, readFileSync } from "node:fs";
import process from "node:process";
import { TandemError } from "@tandem/ipc";
import { type Account, findGroup, findUser } from "../../runtime/accounts.ts";
import { bindC, cString } from "../../runtime/c_library.ts";

interface Identity {
  readonly user?: string | number | undefined;
  readonly group?: string | number | undefined;
}

interface CFunctions {
  initgroups(user: Uint8Array, gid: number): number;
  setgroups(count: bigint, groups: Uint32Array): number;
  setgid(gid: number): number;
  setuid(uid: number): number;
  fcntl(fd: number, command: number, value: number): number;
  malloc(length: bigint): bigint;
  memcpy(to: bigint, from: Uint8Array, length: bigint): bigint;
  execve(path: Uint8Array, args: bigint, environment: bigint): number;
}

/**
 * Returns when this process runs as that user and group. If it does not yet, it prepares what needs its rights, and
 * begins again as them.
 *
 * @param prepare gets the ids
 * @throws {TandemError} `PERMISSION` when this process may not
 * @throws {RangeError} when there is no such user or group
 */
export function becomeUser(
  { user, group }: Identity,
  prepare: (uid: number, gid: number) => void,
): void {
  const account = user === undefined ? null : findUser(user);
  const uid = account?.uid ?? process.geteuid!();
  const gid = group === undefined ? account?.gid ?? process.getegid!() : findGroup(group);
  if (process.geteuid!() === uid && process.getegid!() === gid) return;
  if (process.geteuid!() !== 0) {
    throw refused(
      uid,
      gid,
      "only root can become another user",
      "start it as root, or as that user",
    );
  }
  prepare(uid, gid);
  const c = bindC<CFunctions>({
    initgroups: { parameters: ["buffer", "u32"], result: "i32", cold: true },
    setgroups: { parameters: ["size", "buffer"], result: "i32", cold: true },
    setgid: { parameters: ["u32"], result: "i32", cold: true },
    setuid: { parameters: ["u32"], result: "i32", cold: true },
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32", cold: true },
    malloc: { parameters: ["size"], result: "size", cold: true },
    memcpy: { parameters: ["size", "buffer", "size"], result: "size", cold: true },
    execve: { parameters: ["buffer", "size", "size"], result: "i32", cold: true },
  });
  const args = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  const grouped = account === null
    ? c.setgroups(1n, new Uint32Array([gid]))
    : c.initgroups(cString(account.name), gid);
  if (grouped < 0 || c.setgid(gid) < 0 || c.setuid(uid) < 0) {
    throw refused(uid, gid, "the system refused", "let it keep CAP_SETUID and CAP_SETGID");
  }
  checkReadable(process.argv[1], uid, gid);
  // Node has marked them, so that its children do not inherit them by mistake.
  for (const fd of [0, 1, 2]) c.fcntl(fd, setDescriptorFlags, 0);
  c.execve(
    cString(process.execPath),
    vector(c, args),
    vector(c, Object.entries(environmentOf(account)).map(([name, value]) => `${name}=${value}`)),
  );
  throw refused(uid, gid, `the system does not start ${process.execPath}`, "let that user run it");
}

const setDescriptorFlags = 2; // F_SETFD

function refused(uid: number, gid: number, found: string, wayOut: string): TandemError {
  return new TandemError(
    "PERMISSION",
    `Cannot run as user ${uid} and group ${gid}: ${found}; ${wayOut}`,
  );
}

/** The runtime would report this without saying whose rights are missing. */
function checkReadable(program: string | undefined, uid: number, gid: number): void {
  if (!program?.startsWith("/")) return;
  try {
    accessSync(program, constants.R_OK);
  } catch {
    throw refused(uid, gid, `that user may not read ${program}`, "let it, or install it elsewhere");
  }
}

function environmentOf(account: Account | null): Record<string, string | undefined> {
  if (account === null) return process.env;
  const { name, home } = account;
  return { ...process.env, HOME: home, USER: name, LOGNAME: name };
}

/** Texts as C takes a list of them: addresses, a zero, and what they point to. Nobody frees it. */
function vector(c: CFunctions, texts: readonly string[]): bigint {
  const strings = texts.map(cString);
  const headLength = 8 * (strings.length + 1);
  const length = strings.reduce((sum, string) => sum + string.length, headLength);
  const address = BigInt(c.malloc(BigInt(length)));
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let offset = headLength;
  strings.forEach((string, index) => {
    view.setBigUint64(8 * index, address + BigInt(offset), true);
    bytes.set(string, offset);
    offset += string.length;
  });
  c.memcpy(address, bytes, BigInt(length));
  return address;
}
