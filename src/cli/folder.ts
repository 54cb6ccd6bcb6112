/**
 * The folder of channels and limits with names.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import process from "node:process";
import { TandemError } from "@tandem/ipc";

/** The folder in which channels and limits with names are. */
export function channelFolder(): string {
  return process.env["TANDEM_DIR"] || `/dev/shm/tandem-${process.geteuid!()}`;
}

/** The names of the files in it that end like this, without the ending, sorted. */
export function namesIn(folder: string, extension: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(extension)).sort()
      .map((name) => name.slice(0, -extension.length));
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === "ENOENT") return [];
    throw new TandemError(
      code === "EACCES" || code === "EPERM" ? "PERMISSION" : "NOT_FOUND",
      `Cannot list the channels in ${folder}: ${message}; run this as its owner, or set TANDEM_DIR`,
      { cause: error },
    );
  }
}
