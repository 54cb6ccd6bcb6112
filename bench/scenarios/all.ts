/**
 * The scenarios, in the order in which they run.
 *
 * @module
 */
import type { Scenario } from "../lib/outcome.ts";
import { scenario as alternatives } from "./alternatives.ts";
import { scenario as attached } from "./attached.ts";
import { scenario as blocking } from "./blocking.ts";
import { scenario as clients } from "./clients.ts";
import { scenario as idle } from "./idle.ts";
import { scenario as inPlace } from "./in_place.ts";
import { scenario as limit } from "./limit.ts";
import { scenario as mesh } from "./mesh.ts";
import { scenario as natsCall } from "./nats_call.ts";
import { scenario as nodeCall } from "./node_call.ts";
import { scenario as paced } from "./paced.ts";
import { scenario as payload } from "./payload.ts";
import { scenario as pool } from "./pool.ts";
import { scenario as predecessor } from "./predecessor.ts";
import { scenario as promiseMany } from "./promise_many.ts";
import { scenario as promiseOne } from "./promise_one.ts";
import { scenario as silence } from "./silence.ts";
import { scenario as slots } from "./slots.ts";
import { scenario as start } from "./start.ts";
import { scenario as timers } from "./timers.ts";
import { scenario as zmq } from "./zmq.ts";

/** All scenarios. */
export const scenarios: readonly Scenario[] = [
  blocking,
  payload,
  inPlace,
  promiseOne,
  promiseMany,
  paced,
  silence,
  timers,
  clients,
  slots,
  attached,
  start,
  idle,
  predecessor,
  alternatives,
  pool,
  limit,
  nodeCall,
  mesh,
  zmq,
  natsCall,
];
