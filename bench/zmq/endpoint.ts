/**
 * Where the contenders listen.
 *
 * @module
 */

/** A free port of this machine, as most clients of ZeroMQ reach their servers. */
export const anyPort = "tcp://127.0.0.1:0";
