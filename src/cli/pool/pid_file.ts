/**
 * A file with the id of this process.
 *
 * A lock on the file says whether its process runs, since the id of a process that is gone may be another's.
 *
 * @module
 */
import { lstatSync, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { TandemError } from "@tandem/ipc";
import { bindC, cString } from "../../runtime/c_library.ts";

interface CFunctions {
  open(path: Uint8Array, flags: number, mode: number): number;
  flock(fd: number, operation: number): number;
  fchown(fd: number, uid: number, gid: number): number;
  ftruncate(fd: number, length: bigint): number;
  write(fd: number, bytes: Uint8Array, length: bigint): bigint;
  unlink(path: Uint8Array): number;
  close(fd: number): number;
}

let bound: CFunctions | undefined;

function c(): CFunctions {
  return bound ??= bindC<CFunctions>({
    open: { parameters: ["buffer", "i32", "u32"], result: "i32", cold: true },
    flock: { parameters: ["i32", "i32"], result: "i32", cold: true },
    fchown: { parameters: ["i32", "u32", "u32"], result: "i32", cold: true },
    ftruncate: { parameters: ["i32", "size"], result: "i32", cold: true },
    write: { parameters: ["i32", "buffer", "size"], result: "size", cold: true },
    unlink: { parameters: ["buffer"], result: "i32", cold: true },
    close: { parameters: ["i32"], result: "i32", cold: true },
  });
}

/** Flags of `open`. One of them has another number on each architecture. */
const openFlags = {
  readWrite: 0o2,
  create: 0o100,
  exclusive: 0o200,
  noFollow: process.arch === "arm64" ? 0o100000 : 0o400000,
  closeOnExec: 0o2000000,
};

const exclusiveAtOnce = 2 | 4; // LOCK_EX | LOCK_NB

/**
 * Makes the file as root for a user who may not make it in that folder.
 *
 * @throws {TandemError} `EXISTS` when a process that runs has it
 */
export function preparePidFile(path: string, uid: number, gid: number): void {
  const { open, fchown, close, unlink } = c();
  const { readWrite, create, exclusive, noFollow, closeOnExec } = openFlags;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.uid === uid) return;
  if (found !== undefined) {
    // Not handed to the user, who may have put a link to another file of root's here.
    const fd = openLocked(path, readWrite | noFollow | closeOnExec);
    if (fd !== null) {
      unlink(cString(path));
      close(fd);
    } else if (lstatSync(path, { throwIfNoEntry: false })) throw unusable(path);
  }
  const fd = open(cString(path), readWrite | create | exclusive | noFollow | closeOnExec, 0o644);
  if (fd < 0) throw unusable(path);
  const isTheirs = fchown(fd, uid, gid) >= 0;
  close(fd);
  if (!isTheirs) throw unusable(path);
}

/** The pid file of this process, as long as it runs. */
export class PidFile implements Disposable {
  readonly #path: string;
  readonly #fd: number;

  /**
   * @throws {TandemError} `EXISTS` when a process that runs has it, `PERMISSION` when this process cannot
   * write it
   */
  constructor(path: string) {
    const { ftruncate, write } = c();
    const { readWrite, create, noFollow, closeOnExec } = openFlags;
    this.#path = path;
    const fd = openLocked(path, readWrite | create | noFollow | closeOnExec);
    if (fd === null) throw unusable(path);
    this.#fd = fd;
    const line = new TextEncoder().encode(`${process.pid}\n`);
    ftruncate(this.#fd, 0n);
    if (Number(write(this.#fd, line, BigInt(line.length))) !== line.length) {
      this[Symbol.dispose]();
      throw unusable(path);
    }
  }

  /** Removes it; where only root can do that, empties it. */
  [Symbol.dispose](): void {
    const { ftruncate, unlink, close } = c();
    ftruncate(this.#fd, 0n);
    if (isAt(this.#path, this.#fd)) unlink(cString(this.#path));
    close(this.#fd);
  }
}

/** Opens a file and locks it, and makes sure that it is still the one at its path. Null: it cannot be opened. */
function openLocked(path: string, flags: number): number | null {
  const { open, flock, close } = c();
  for (;;) {
    const fd = open(cString(path), flags, 0o644);
    if (fd < 0) return null;
    const { nlink, isRegular } = describe(fd);
    if (!isRegular || nlink > 1) {
      close(fd);
      throw unusable(path);
    }
    const isLocked = flock(fd, exclusiveAtOnce) >= 0;
    // The process that had it may have removed it meanwhile.
    const isThere = isAt(path, fd);
    if (isLocked && isThere) return fd;
    const holder = isThere ? holderIn(fd) : null;
    close(fd);
    if (holder !== null) throw held(path, holder);
  }
}

/** The process that has the file, also if it removes the file meanwhile. */
function holderIn(fd: number): string {
  const pid = readFileSync(descriptorPath(fd), "utf8").trim();
  // It has not written it yet, or no longer has the file in a moment.
  return pid === "" ? "another process" : `process ${pid}`;
}

function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function describe(fd: number): { readonly nlink: number; readonly isRegular: boolean } {
  const stat = statSync(descriptorPath(fd));
  return { nlink: stat.nlink, isRegular: stat.isFile() };
}

function isAt(path: string, fd: number): boolean {
  const there = lstatSync(path, { throwIfNoEntry: false });
  const here = statSync(descriptorPath(fd), { throwIfNoEntry: false });
  return there !== undefined && there.ino === here?.ino && there.dev === here.dev;
}

function held(path: string, holder: string): TandemError {
  return new TandemError(
    "EXISTS",
    `Cannot write the pid file ${path}: ${holder} has it and runs; ` +
      "stop that process, or give another path",
  );
}

function unusable(path: string): TandemError {
  return new TandemError(
    "PERMISSION",
    `Cannot write the pid file ${path}: ${reason(path)}; ` +
      "give a path in a folder in which this user may make files",
  );
}

function reason(path: string): string {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "the system does not let this user make it";
  if (found.isSymbolicLink()) return "it is a symbolic link";
  if (!found.isFile()) return "it is no file";
  return found.nlink > 1 ? "it has other names" : "the system does not let this user write it";
}
