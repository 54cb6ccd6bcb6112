/**
 * Writes the results as one Markdown file with its plots beside it.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bar, isMet, type Outcome, type Scenario, type Table } from "../lib/outcome.ts";
import { draw } from "./plots.ts";

/** One scenario and its outcome, or the reason why it failed. */
export interface Section {
  readonly scenario: Scenario;
  readonly outcome: Outcome | null;
  readonly failure?: string;
}

/** The content of a report. */
export interface Report {
  readonly machine: Readonly<Record<string, string>>;
  /** How it was run. */
  readonly how: string;
  readonly sections: readonly Section[];
}

/** The name of the file. */
export const reportName = "report.md";

/** Writes the report into a folder. */
export async function writeReport(folder: string, report: Report): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const parts = [
    "# Benchmarks",
    report.how,
    "## Machine",
    tableText(Object.entries(report.machine).map(([what, value]) => ({ "": what, value }))),
    "## What must hold",
    barsText(report.sections),
  ];
  for (const { scenario, outcome, failure } of report.sections) {
    parts.push(`## ${scenario.title}`, `\`--only ${scenario.name}\`. ${scenario.about}`);
    if (failure !== undefined) parts.push(`**Failed:** ${failure}`);
    if (!outcome) continue;
    parts.push(...outcome.notes ?? []);
    for (const table of outcome.tables) parts.push(`### ${table.title}`, tableOf(table));
    for (const plot of outcome.plots ?? []) {
      const file = `${plot.name}.svg`;
      writeFileSync(join(folder, file), await draw(plot));
      parts.push(`![${plot.title}](${file})`);
    }
  }
  writeFileSync(join(folder, reportName), `${parts.join("\n\n")}\n`);
}

/** One line for each bar. */
export function barLine(bar: Bar): string {
  const { what, measured, isLimit, must, goal, write } = bar;
  const sign = isLimit ? "≤" : "≥";
  const wanted = `${sign} ${write(must)}`;
  const aim = goal === undefined ? "" : `, goal ${write(goal)}${isMet(bar, goal) ? " met" : ""}`;
  return `${verdict(bar)}  ${what}: ${Number.isNaN(measured) ? "not measured" : write(measured)} ` +
    `${wanted}${aim}`;
}

function verdict(bar: Bar): "pass" | "MISS" {
  return isMet(bar, bar.must) ? "pass" : "MISS";
}

function barsText(sections: readonly Section[]): string {
  const bars = sections.flatMap(({ outcome }) => outcome?.bars ?? []);
  if (bars.length === 0) return "None of the scenarios that were run has one.";
  const missed = bars.filter((bar) => !isMet(bar, bar.must)).length;
  const rows = bars.map((bar) => ({
    "": verdict(bar),
    what: bar.what,
    measured: Number.isNaN(bar.measured) ? "not measured" : bar.write(bar.measured),
    "must hold": `${bar.isLimit ? "≤" : "≥"} ${bar.write(bar.must)}`,
    goal: bar.goal === undefined ? "" : bar.write(bar.goal),
    "goal met": bar.goal === undefined ? "" : isMet(bar, bar.goal) ? "yes" : "no",
  }));
  return `${bars.length - missed} of ${bars.length} hold.\n\n${tableText(rows)}`;
}

function tableOf({ rows }: Table): string {
  return tableText(rows);
}

/** The first columns are text; figures are aligned to the right. */
function tableText(rows: readonly Readonly<Record<string, string>>[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const isFigure = (column: string): boolean =>
    rows.every((row) => /^[\d—]|^[-≤≥]|^$/.test(row[column] ?? ""));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(columns),
    line(columns.map((column) => column !== "" && isFigure(column) ? "---:" : "---")),
    ...rows.map((row) => line(columns.map((column) => row[column] ?? ""))),
  ].join("\n");
}
