/**
 * The chart of the README, as SVG. It has no background, and colours that can be read on a light page
 * and on a dark one.
 *
 * @module
 */
import type { TopLevelSpec } from "vega-lite";
import type { Runtime } from "../lib/runtimes.ts";
import { svgOf } from "./svg.ts";

/** One way of calling, in one runtime. */
export interface ChartFigure {
  readonly name: string;
  readonly runtime: Runtime;
  /** The median of one call at a time, in microseconds. */
  readonly latency: number;
  /** Calls a second with 64 outstanding. */
  readonly rate: number;
}

/** Texts: a contrast of 4.2 to 1 at least, beside white and beside a dark page. */
const ink = "#757b83";
const own = "#2376ea";
/** Bars: 3 to 1. */
const others = "#8a9199";
const panelWidth = 265;
const nameWidth = 150;

const runtimeNames: Readonly<Record<Runtime, string>> = {
  bun: "Bun",
  deno: "Deno",
  node: "Node",
};

/** The text of the SVG file. */
export async function drawChart(figures: readonly ChartFigure[]): Promise<string> {
  const svg = await svgOf(specOf(figures));
  // The `alt` of the page's image describes the picture; nothing reads the roles of its parts.
  return svg.replaceAll(/ (?:role|aria-[a-z]+)="[^"]*"/g, "");
}

function specOf(figures: readonly ChartFigure[]): TopLevelSpec {
  const runtimes = [...new Set(figures.map(({ runtime }) => runtime))];
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "transparent",
    padding: { left: 4, right: 4, top: 8, bottom: 4 },
    // Without a canvas, vega overestimates the width of texts; so the layout ignores texts.
    bounds: "flush",
    spacing: { row: 58, column: 56 },
    config: {
      font: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
      view: { stroke: null },
      axis: {
        domain: false,
        ticks: false,
        grid: false,
        labelColor: ink,
        labelFontSize: 13,
        labelLimit: 300,
        title: null,
      },
      title: {
        color: ink,
        fontSize: 13,
        anchor: "start",
        subtitleColor: ink,
        subtitleFontSize: 12,
      },
    },
    columns: 2,
    concat: runtimes.flatMap((runtime) => {
      const shown = figures.filter((figure) => figure.runtime === runtime);
      return [panel(shown, runtime, "latency"), panel(shown, runtime, "rate")];
    }),
  };
}

const titles = {
  latency: { what: "µs per call, one at a time", subtitle: "shorter is better" },
  rate: { what: "calls per second, 64 at a time", subtitle: "longer is better" },
} as const;

/** The bars of one runtime and one figure. */
function panel(figures: readonly ChartFigure[], runtime: Runtime, figure: "latency" | "rate") {
  const { what, subtitle } = titles[figure];
  const hasNames = figure === "latency";
  const ordered = figures.toSorted((a, b) => a.latency - b.latency);
  const values = ordered.map((row) => ({
    name: row.name,
    value: row[figure],
    text: figure === "latency" ? micros(row.latency) : thousands(row.rate),
    isOwn: row.name.startsWith("Tandem"),
  }));
  // Room for the figure beside the longest bar.
  const domain: [number, number] = [0, Math.max(...values.map(({ value }) => value)) * 1.2];
  const y = {
    field: "name",
    type: "nominal",
    sort: values.map(({ name }) => name),
    // For the same reason, the width of the names is fixed.
    axis: hasNames ? { labelPadding: 8, minExtent: nameWidth, maxExtent: nameWidth } : null,
  } as const;
  const x = {
    field: "value",
    type: "quantitative",
    scale: { domain, nice: false },
    axis: null,
  } as const;
  return {
    width: panelWidth,
    height: { step: 21 },
    title: { text: `${runtimeNames[runtime]}: ${what}`, subtitle, frame: "group" } as const,
    data: { values },
    layer: [
      {
        mark: { type: "bar", height: 13 } as const,
        encoding: {
          y,
          x,
          color: { condition: { test: "datum.isOwn", value: own }, value: others },
        },
      },
      {
        mark: { type: "text", align: "left", dx: 5, fontSize: 12 } as const,
        encoding: {
          y,
          x,
          text: { field: "text" },
          color: { condition: { test: "datum.isOwn", value: own }, value: ink },
        },
      },
    ],
  };
}

function micros(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

function thousands(value: number): string {
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)} M` : `${(value / 1e3).toFixed(0)} k`;
}
