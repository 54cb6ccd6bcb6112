/**
 * Another proof of who holds what: the kernel's record locks of processes (`F_SETLK`), which the library does not use
 * while a lock is held. Who holds place n locks byte n, alone or with the other sharers. The kernel drops record
 * locks of a dying process before anything else of it that could free a place.
 *
 * @module
 */
import type { Table } from "../../../src/runtime/backend.ts";
import { backend } from "../../../src/runtime/current.ts";

interface CLibrary {
  open(path: Uint8Array, flags: number, mode: number): number;
  fcntl(fd: number, command: number, lock: Uint8Array): number;
}

const table = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
} as const satisfies Table;

const setLock = 6; // F_SETLK
const readWriteCreate = 0o2000102; // O_RDWR | O_CREAT | O_CLOEXEC
const kinds = { shared: 0, exclusive: 1, none: 2 } as const; // F_RDLCK, F_WRLCK, F_UNLCK

/** The record locks of this process. */
export class Witness {
  readonly #c = backend().bind<CLibrary>("libc.so.6", table);
  readonly #fd: number;
  /** What contenders of this process hold, for whom the kernel sees no conflict. */
  readonly #own = new Map<number, { readonly isShared: boolean; count: number }>();

  constructor(path: string) {
    this.#fd = this.#c.open(new TextEncoder().encode(`${path}\0`), readWriteCreate, 0o600);
    if (this.#fd < 0) throw new Error(`cannot open ${path}`);
  }

  /** False: another contender holds that place. */
  take(place: number, isShared: boolean): boolean {
    const own = this.#own.get(place);
    if (own) {
      if (!own.isShared || !isShared) return false;
      own.count += 1;
      return true;
    }
    if (!this.#set(isShared ? kinds.shared : kinds.exclusive, place)) return false;
    this.#own.set(place, { isShared, count: 1 });
    return true;
  }

  /** Has to come before the release of the lock. */
  give(place: number): void {
    const own = this.#own.get(place)!;
    own.count -= 1;
    if (own.count > 0) return;
    this.#own.delete(place);
    this.#set(kinds.none, place);
  }

  #set(kind: number, place: number): boolean {
    const lock = new DataView(new ArrayBuffer(32));
    lock.setInt16(0, kind, true);
    lock.setBigInt64(8, BigInt(place), true);
    lock.setBigInt64(16, 1n, true);
    return this.#c.fcntl(this.#fd, setLock, new Uint8Array(lock.buffer)) === 0;
  }
}
