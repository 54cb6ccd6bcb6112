/**
 * Offsets in a channel's file, for tests that write values that no participant would.
 *
 * @module
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";

const participantsOffset = 4096;
const ringOffset = participantsOffset + 1024 * 256;
const slotBytes = 256;

/** The first participant's hint of its user. */
export const firstUserOffset: number = participantsOffset + 24;

/** The position of the ring that servers take from next. */
export const headOffset = 128;

/** Of a slot's head; `cells`: of the ring, 4,096 up to as many slots. */
function slotOffset(slot: number, cells: number): number {
  return ringOffset + cells * 8 + slot * slotBytes;
}

export function requestLengthOffset(slot: number, cells = 4096): number {
  return slotOffset(slot, cells) + 24;
}

/** Writes 64 bits, and returns the old value. */
export function exchange(path: string, offset: number, value: bigint): bigint {
  const fd = openSync(path, "r+");
  try {
    const before = new BigUint64Array(1);
    readSync(fd, new Uint8Array(before.buffer), 0, 8, offset);
    writeSync(fd, new Uint8Array(BigUint64Array.of(value).buffer), 0, 8, offset);
    return before[0]!;
  } finally {
    closeSync(fd);
  }
}

export function write32(path: string, offset: number, value: number): void {
  const fd = openSync(path, "r+");
  writeSync(fd, new Uint8Array(Uint32Array.of(value).buffer), 0, 4, offset);
  closeSync(fd);
}
