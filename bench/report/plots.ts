/**
 * Draws a scenario's plots as SVG.
 *
 * @module
 */
import type { TopLevelSpec } from "vega-lite";
import type { CurvePlot, LatencyPlot, Plot, RatePlot } from "../lib/outcome.ts";
import { svgOf } from "./svg.ts";

/** The text of an SVG file. */
export async function draw(plot: Plot): Promise<string> {
  return await svgOf(specOf(plot));
}

function specOf(plot: Plot): TopLevelSpec {
  switch (plot.kind) {
    case "latency":
      return latencySpec(plot);
    case "curve":
      return curveSpec(plot);
    case "rates":
      return ratesSpec(plot);
  }
}

/** Common to all plots. The background is white, so dark pages can show them as well. */
const common = {
  $schema: "https://vega.github.io/schema/vega-lite/v6.json",
  background: "white",
  padding: 12,
  config: {
    font: "DejaVu Sans, Verdana, sans-serif",
    axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", gridColor: "#e4e4e4" },
    legend: { labelFontSize: 12, labelLimit: 320 },
    title: { fontSize: 14, anchor: "start", offset: 12 },
    view: { stroke: "#bbbbbb" },
    range: { category: { scheme: "tableau10" } },
  },
} as const;

const size = { width: 620, height: 360 } as const;

/** A name has two parts: the caller, shown by the colour, and the way of calling, shown by the dashes. */
function partsOf(name: string): { who: string; what: string } {
  const [who = "", ...what] = name.split(", ");
  return { who, what: what.join(", ") };
}

const dashes = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [14, 4], [9, 3, 2, 3, 2, 3]];

function looks(names: readonly string[]) {
  const parts = names.map(partsOf);
  const legend = {
    title: null,
    orient: "right",
    symbolType: "stroke",
    symbolOpacity: 1,
    symbolStrokeWidth: 3,
    symbolSize: 400,
  } as const;
  const whats = distinct(parts.map(({ what }) => what));
  return {
    color: {
      field: "who",
      type: "nominal",
      scale: { domain: distinct(parts.map(({ who }) => who)) },
      legend,
    },
    strokeDash: {
      field: "what",
      type: "nominal",
      scale: { domain: whats, range: whats.map((_, index) => dashes[index % dashes.length]!) },
      // One way of calling needs no legend.
      legend: whats.length > 1 ? { ...legend, labelExpr: "datum.label || 'channel'" } : null,
    },
  } as const;
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}

/** A logarithmic axis that ends a little beyond the figures. */
function logScale(
  values: readonly number[],
): { type: "log"; nice: false; domain: [least: number, most: number] } {
  const domain: [number, number] = [Math.min(...values) * 0.8, Math.max(...values) * 1.25];
  return { type: "log", nice: false, domain };
}

const fractions = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995];
const moreFractions = [0.9998, 0.9999, 0.99995, 0.99998, 0.99999];

function latencySpec({ title, series }: LatencyPlot): TopLevelSpec {
  const values = series.flatMap(({ name, histogram }) =>
    [...fractions, ...moreFractions]
      // Beyond that a quantile would be a single call.
      .filter((fraction) => histogram.count * (1 - fraction) >= 5)
      .map((fraction) => ({
        ...partsOf(name),
        name,
        nines: 1 / (1 - fraction),
        latency: histogram.quantile(fraction) / 1e3,
      }))
  );
  return {
    ...common,
    ...size,
    title: `${title}: latency`,
    data: { values },
    mark: { type: "line", strokeWidth: 2 },
    encoding: {
      detail: { field: "name", type: "nominal" },
      x: {
        field: "nines",
        type: "quantitative",
        scale: { type: "log", nice: false },
        axis: {
          title: "part of the calls that were no slower",
          values: [1, 2, 10, 100, 1_000, 10_000, 100_000],
          labelExpr: "datum.value == 1 ? 'best' : datum.value == 2 ? '50 %' : " +
            "format(100 - 100 / datum.value, '~r') + ' %'",
        },
      },
      y: {
        field: "latency",
        type: "quantitative",
        scale: logScale(values.map(({ latency }) => latency)),
        axis: { title: "latency, µs", format: "~r" },
      },
      ...looks(series.map(({ name }) => name)),
    },
  };
}

const sizeLabel = "datum.value < 1024 ? datum.value + ' B' : datum.value < 1048576 " +
  "? datum.value / 1024 + ' KiB' : datum.value / 1048576 + ' MiB'";

function curveSpec(
  { title, x, y: figure = "calls a second", isLogarithmic, series }: CurvePlot,
): TopLevelSpec {
  const values = series.flatMap(({ name, points }) =>
    points.map((point) => ({ ...partsOf(name), name, ...point }))
  );
  const places = [...new Set(values.map((value) => value.x))].toSorted((a, b) => a - b);
  const scale = isLogarithmic ? { type: "log", base: 2, nice: false } as const : { nice: false };
  const heights = logScale(values.flatMap(({ q1, q3 }) => [q1, q3]));
  const encoding = {
    detail: { field: "name", type: "nominal" },
    x: {
      field: "x",
      type: "quantitative",
      scale,
      axis: {
        title: x,
        values: places,
        format: ",d",
        labelOverlap: false,
        ...(x === "payload" && { labelExpr: sizeLabel }),
      },
    },
    ...looks(series.map(({ name }) => name)),
  } as const;
  // Areas and points have no dashes.
  const { strokeDash: _, ...unlined } = encoding;
  const y = (field: string) =>
    ({
      field,
      type: "quantitative",
      scale: heights,
      axis: { title: figure, format: "~s" },
    }) as const;
  return {
    ...common,
    ...size,
    title: `${title}: median and quartiles`,
    data: { values },
    layer: [
      {
        mark: { type: "area", opacity: 0.12, strokeWidth: 0 },
        encoding: { ...unlined, y: y("q1"), y2: { field: "q3" } },
      },
      {
        mark: { type: "line", strokeWidth: 2 },
        encoding: { ...encoding, y: y("median") },
      },
      {
        mark: { type: "circle", size: 40, opacity: 1 },
        encoding: { ...unlined, y: y("median") },
      },
    ],
  };
}

function ratesSpec({ title, series }: RatePlot): TopLevelSpec {
  const values = series.toSorted((a, b) => b.median - a.median);
  const scale = logScale(values.flatMap(({ q1, q3 }) => [q1, q3]));
  const [floor] = scale.domain;
  const y = {
    field: "name",
    type: "nominal",
    sort: values.map(({ name }) => name),
    axis: { title: null, labelLimit: 320 },
  } as const;
  const x = (field: string) =>
    ({
      field,
      type: "quantitative",
      scale,
      axis: { title: "calls a second", format: "~s" },
    }) as const;
  return {
    ...common,
    width: size.width,
    height: { step: 22 },
    title: `${title}: median and quartiles`,
    data: {
      values: values.map((value) => ({
        ...value,
        floor,
        kind: value.name.endsWith("channel") ? "channel" : "other",
      })),
    },
    layer: [
      {
        mark: { type: "bar" },
        encoding: {
          y,
          x: x("floor"),
          x2: { field: "median" },
          color: {
            field: "kind",
            type: "nominal",
            scale: { domain: ["channel", "other"], range: ["#4c78a8", "#b8c4d0"] },
            legend: null,
          },
        },
      },
      { mark: { type: "rule", strokeWidth: 2 }, encoding: { y, x: x("q1"), x2: { field: "q3" } } },
    ],
  };
}
