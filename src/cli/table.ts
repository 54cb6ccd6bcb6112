/**
 * Tables without lines, as other commands of a shell print them.
 *
 * @module
 */
import Table from "cli-table3";

const none = "";
/** All the lines that the library would draw. */
const chars = {
  "top": none,
  "top-mid": none,
  "top-left": none,
  "top-right": none,
  "bottom": none,
  "bottom-mid": none,
  "bottom-left": none,
  "bottom-right": none,
  "left": none,
  "left-mid": none,
  "mid": none,
  "mid-mid": none,
  "right": none,
  "right-mid": none,
  "middle": "  ",
};

type Cell = string | number;

/** Rows of cells as text. Columns of numbers are aligned on the right. */
export function tableOf(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const table = new Table({
    chars,
    head: [...head],
    colAligns: head.map((_, column) =>
      rows.every((row) => typeof row[column] === "number") ? "right" : "left"
    ),
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString().split("\n").map((line) => `${line.trimEnd()}\n`).join("");
}
