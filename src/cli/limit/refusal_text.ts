/**
 * Why a command did not run, as a line for people who read it in a mail of cron.
 *
 * @module
 */
import type { Limit, LockInfo } from "@tandem/ipc/limit";
import { timeText } from "../times.ts";
import { oneLine } from "../values.ts";

/** @param wait how long the command has waited at most, in milliseconds */
export function refusalText(limit: Limit, command: readonly string[], wait: number): string {
  const name = JSON.stringify(limit.target);
  const holders = limit.holders();
  const head = `did not run ${quoted(command[0]!)}`;
  return `${head}: ${why(limit, wait)}limit ${name} ${heldBy(holders, limit.max)}`;
}

function why(limit: Limit, wait: number): string {
  const waiting = limit.waiters().length;
  switch (limit.refusal) {
    case "standby-full":
      if (waiting === 0) return "";
      return `${waiting === 1 ? "another one waits" : `${waiting} others wait`} already, and `;
    case "replaced":
      return "a newer one waits in its place, and ";
    case "timeout":
      return wait > 0 ? `it waited ${wait / 1000} s, and ` : "";
    default:
      return "";
  }
}

const shownMax = 3;

function heldBy(holders: readonly LockInfo[], max: number): string {
  if (holders.length === 0) return "has just been released; try again";
  const shown = holders.slice(0, shownMax).map(holderText).join(", ");
  const more = holders.length > shownMax ? ` and ${holders.length - shownMax} more` : "";
  const places = max > 1 ? `(${max} at once) ` : "";
  return `${places}is held by ${shown}${more}`;
}

function holderText({ pid, title, since }: LockInfo): string {
  const who = title === ""
    ? `process ${pid} or its children`
    : `process ${pid} (${shortened(title)})`;
  return `${who} since ${timeText(new Date(since))}`;
}

const titleLengthMax = 80;

function shortened(title: string): string {
  const text = oneLine(title);
  return text.length > titleLengthMax ? `${text.slice(0, titleLengthMax)}…` : text;
}

function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}
