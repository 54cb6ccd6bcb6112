/**
 * Finds calls that wait for each other: a handler of A calls B, whose handler calls A. Neither call is part of the
 * other's chain, so no port can see that at once. To wait for room in a port (`ready`) is such a call here.
 *
 * A call of a handler that has waited for a while sends a probe after itself. Each node passes the probe on along the
 * calls that the handler there waits for. If the probe comes back to the handler that has made the first call, none of
 * these calls can be answered (Chandy, Misra and Haas, 1983). Only the youngest call of a cycle gets its probe back, so
 * one call fails, and the others go on.
 *
 * @module
 */
import { Alarm } from "../../base/alarm.ts";
import { now } from "../../runtime/timers.ts";
import { Kind } from "../frames.ts";
import { randomToken } from "../ids.ts";
import { type Invocation, unfollowedInvocation } from "../ports/invocation.ts";
import type { PortCore } from "../ports/port_core.ts";
import { cycleError } from "./cycle_error.ts";
import type { Probe, ProbeHandler } from "./inbox.ts";
import type { NodeBase } from "./node_base.ts";
import type { Outbox } from "./outbox.ts";
import { Maker, type OutgoingRequests, type PendingRequest } from "./outgoing.ts";
import type { Peers } from "./peers.ts";

/** A call waits so long, in milliseconds, before its first probe; then twice as long for each further one. */
const firstProbeAfter = 500;
/** The longest way of a probe. */
const pathMax = 256;
/** So many calls of one handler are followed. */
const followedMax = 64;
/** So many steps of probes are remembered. */
const seenMax = 4096;

export class Probes implements ProbeHandler {
  readonly #base: NodeBase;
  readonly #peers: Peers;
  readonly #outbox: Outbox;
  readonly #requests: OutgoingRequests;
  /** Steps that probes have made here: a probe goes each way once. */
  readonly #seen: Set<string> = new Set();
  readonly #alarm: Alarm = new Alarm(() => this.#look());

  constructor(base: NodeBase, peers: Peers, outbox: Outbox, requests: OutgoingRequests) {
    this.#base = base;
    this.#peers = peers;
    this.#outbox = outbox;
    this.#requests = requests;
  }

  /** For a request of what runs now: from now on, the request has probes sent after it. */
  maker(invocation: Invocation | undefined): Maker | null {
    const found = invocation ?? unfollowedInvocation();
    if (!found) return null;
    this.#alarm.set(now() + firstProbeAfter);
    return new Maker(found, firstProbeAfter);
  }

  /** Sends probes for the calls that have waited for long enough. */
  #look(): void {
    const time = now();
    let next = Infinity;
    for (const request of this.#requests.ofHandlers()) {
      const wait = request.maker!;
      let due = wait.since + wait.probeAfter;
      if (due <= time) {
        wait.probeAfter *= 2;
        due = wait.since + wait.probeAfter;
        this.#begin(request);
      }
      next = Math.min(next, due);
    }
    if (next !== Infinity) this.#alarm.set(next);
  }

  #begin(request: PendingRequest<unknown>): void {
    const maker = request.maker!;
    const { port, number } = maker.invocation;
    if (!port.waitsWith(number)) return;
    maker.probeKey = randomToken(8);
    const { id } = this.#base;
    const { wallTime: since, probeKey: key } = maker;
    this.#post(request, { node: id, call: request.id, key, since, path: [port.id] });
  }

  #post({ id, place }: PendingRequest<unknown>, probe: Probe): void {
    this.#outbox.postFrame(place.node, Kind.probe, 7, (encoder) => {
      encoder.unsigned(id);
      encoder.text(probe.node);
      encoder.unsigned(probe.call);
      encoder.text(probe.key);
      encoder.value(probe.since);
      encoder.list("path", probe.path);
    });
  }

  onProbe(from: string, id: number, probe: Probe): void {
    const wants = this.#peers.get(from);
    const call = wants?.calls.get(id) ?? null;
    const port = (call?.port ?? wants?.waitsFor.get(id)) as PortCore | undefined;
    if (!port || probe.path.length >= pathMax || !this.#isFirst(from, id, probe)) return;
    const path = [...probe.path, port.id];
    for (const number of port.blockersOf(call)) {
      for (const request of this.#requests.madeBy(port, number, followedMax)) {
        this.#follow(request, { ...probe, path });
      }
    }
  }

  #isFirst(from: string, id: number, { node, call, key }: Probe): boolean {
    const step = `${key} ${call} ${node} ${id} ${from}`;
    if (this.#seen.has(step)) return false;
    if (this.#seen.size >= seenMax) this.#seen.clear();
    this.#seen.add(step);
    return true;
  }

  #follow(request: PendingRequest<unknown>, probe: Probe): void {
    const { maker, id, place } = request;
    if (probe.node === this.#base.id && probe.call === id) {
      // It is empty before the first probe.
      if (probe.key !== maker!.probeKey || probe.key === "") return;
      this.#requests.giveUp(request, cycleError(place, probe.path));
    } else if (!this.#isYounger(request, probe)) this.#post(request, probe);
  }

  /** Whether a call was made after the one that the probe is about. */
  #isYounger({ id, maker }: PendingRequest<unknown>, probe: Probe): boolean {
    const { wallTime } = maker!;
    if (wallTime !== probe.since) return wallTime > probe.since;
    const node = this.#base.id;
    return node === probe.node ? id > probe.call : node > probe.node;
  }

  close(): void {
    this.#alarm.end();
    this.#seen.clear();
  }
}
