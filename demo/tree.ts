/**
 * Lists the files of a tree.
 *
 * @module
 */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** A file to send. */
export interface TreeFile {
  readonly path: string;
  readonly bytes: number;
}

/** The size of the largest file that fits into a request. */
export const requestBytesMax: number = 1 << 30;

/** Lists the regular files below a directory by name. Does not follow links. */
export function listFiles(directory: string, limit: number): TreeFile[] {
  const files: TreeFile[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true }).sort(byName)) {
      if (files.length >= limit) return;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) ifPresent(() => visit(path));
      else if (entry.isFile()) ifPresent(() => files.push({ path, bytes: lstatSync(path).size }));
    }
  };
  visit(directory);
  return files;
}

/** Moves the largest file to the middle, where it keeps a server busy for a while. */
export function largestHalfway(files: readonly TreeFile[]): TreeFile[] {
  const largest = files.reduce((a, b) => a.bytes >= b.bytes ? a : b);
  const others = files.filter((file) => file !== largest);
  return others.toSpliced(others.length >> 1, 0, largest);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Ignores files that disappear meanwhile. */
function ifPresent(action: () => void): void {
  try {
    action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
