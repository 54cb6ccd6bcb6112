/**
 * A worker that sends each message back.
 *
 * @module
 */
import { listenInWorker } from "../lib/workers.ts";

listenInWorker((message, port) => port.postMessage(message));
