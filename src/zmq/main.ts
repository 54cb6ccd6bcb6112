/**
 * Clients of ZeroMQ, in any language, call channels, services and pools.
 *
 * @module
 */
export { ZmqDoor } from "./door.ts";
export type { ZmqCloseOptions } from "./door.ts";
export type { ZmqDoorStats } from "./counters.ts";
export { zmqRequestSync } from "./request_sync.ts";
export type { ZmqRequestOptions } from "./request_sync.ts";
export type { ZmqCurve, ZmqDoorOptions, ZmqFrontend } from "./options.ts";
