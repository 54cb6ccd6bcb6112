/**
 * The files of a tree.
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

/** The longest file that fits into a request. */
export const requestBytesMax: number = 1 << 30;

/** The regular files below a directory, in the order of their names; links are not followed. */
export function listFiles(directory: string, limit: number): TreeFile[] {
  const files: TreeFile[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true }).sort(byName)) {
      if (files.length >= limit) return;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) ifThere(() => visit(path));
      else if (entry.isFile()) ifThere(() => files.push({ path, bytes: lstatSync(path).size }));
    }
  };
  visit(directory);
  return files;
}

/** Moves the largest file to the middle, so that a server is busy with it for a while there. */
export function largestHalfWay(files: readonly TreeFile[]): TreeFile[] {
  const largest = files.reduce((a, b) => a.bytes >= b.bytes ? a : b);
  const others = files.filter((file) => file !== largest);
  return others.toSpliced(others.length >> 1, 0, largest);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Somebody may be working in the tree. */
function ifThere(action: () => void): void {
  try {
    action();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
