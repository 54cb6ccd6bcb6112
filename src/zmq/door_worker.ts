/**
 * The Worker of a door.
 *
 * @module
 */
import { runThread } from "../runtime/threads.ts";
import { doorFailure, DoorLoop } from "./door_loop.ts";
import { libzmq } from "./libzmq.ts";
import type { DoorAssignment, DoorReport } from "./door_worker_data.ts";

runThread<DoorAssignment, DoorReport>((assignment, post) => {
  let loop: DoorLoop | null = null;
  try {
    loop = new DoorLoop(assignment);
    post({ kind: "bound", endpoint: loop.endpoint });
    loop.run();
    loop.close();
    post({ kind: "ended" });
  } catch (error) {
    loop?.close();
    post({ kind: "failed", ...doorFailure(error) });
  }
  // Waits for the last answers on their way, and until the owner has closed its socket: the owner's event loop must not.
  libzmq().zmq_ctx_term(assignment.context);
  post({ kind: "left" });
});
