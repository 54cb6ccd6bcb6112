/**
 * The numbers of a channel as metrics.
 *
 * The format: https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * @module
 */
import type { Stats } from "@tandem/ipc";
import type { Observed } from "./channels.ts";

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
  const label = target.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return Object.entries(metrics).map(([key, [name, type, help]]) =>
    `# HELP tandem_${name} ${help}.\n` +
    `# TYPE tandem_${name} ${type}\n` +
    `tandem_${name}{target="${label}"} ${stats[key as keyof Stats]}\n`
  ).join("");
}
