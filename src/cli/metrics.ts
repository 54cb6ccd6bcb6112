/**
 * The numbers of a channel as metrics.
 *
 * The format: https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * @module
 */
import type { Stats } from "@tandem/ipc";
import type { Observed } from "./channels.ts";
import type { ObservedLimit } from "./limits.ts";

type Metric = readonly [name: string, type: "gauge" | "counter", help: string];

const metrics: Readonly<Record<keyof Stats, Metric>> = {
  slots: ["slots", "gauge", "Calls that can be in flight at once"],
  inFlight: ["calls_in_flight", "gauge", "Calls in flight"],
  queued: ["calls_queued", "gauge", "Calls in flight that no server has taken yet"],
  clients: ["clients", "gauge", "Client handles that are open"],
  servers: ["servers", "gauge", "Server handles that are open"],
  requests: ["requests_total", "counter", "Requests sent"],
  replies: ["replies_total", "counter", "Answers given"],
  failures: ["failures_total", "counter", "Calls that ended with an error or their server's death"],
  cancelled: ["cancelled_total", "counter", "Calls cancelled or cleared"],
  timeouts: ["timeouts_total", "counter", "Calls whose time ran out"],
  redelivered: ["redelivered_total", "counter", "Requests handed to another server after a death"],
  serverDeaths: ["server_deaths_total", "counter", "Servers found dead"],
  clientDeaths: ["client_deaths_total", "counter", "Clients found dead"],
  reclaimed: ["slots_reclaimed_total", "counter", "Slots freed for participants that are gone"],
  busy: ["busy_total", "counter", "Sends that found no free slot"],
  wakeups: ["wakeups_total", "counter", "Sleepers woken"],
  waitingServers: ["waiting_servers", "gauge", "Servers asleep until a request comes"],
  waitingClients: ["waiting_clients", "gauge", "Clients asleep until an answer comes"],
  committedBytes: ["committed_bytes", "gauge", "Real memory of the channel"],
  mappedBytes: ["mapped_bytes", "gauge", "Address space of the channel"],
  unreachable: ["unreachable", "gauge", "Participants that have to be woken without their bells"],
};

/** All numbers of a channel, labelled with its target. */
export function metricsOf({ target, stats }: Observed): string {
  return Object.entries(metrics)
    .map(([key, metric]) => textOf(metric, target, stats[key as keyof Stats])).join("");
}

/** The numbers of a limit. */
export function limitMetricsOf({ target, max, holders, waiters }: ObservedLimit): string {
  return [
    textOf(["limit_max", "gauge", "Places of the limit"], target, max),
    textOf(["limit_holders", "gauge", "Holders of a place"], target, holders.length),
    textOf(["limit_waiters", "gauge", "Waiters for a place"], target, waiters.length),
  ].join("");
}

function textOf([name, type, help]: Metric, target: string, value: number): string {
  const label = target.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return `# HELP tandem_${name} ${help}.\n` +
    `# TYPE tandem_${name} ${type}\n` +
    `tandem_${name}{target="${label}"} ${value}\n`;
}
