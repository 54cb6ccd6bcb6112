/**
 * The task of the piscina pool: an echo. A pool takes a default export.
 *
 * @module
 */

export default (payload: Uint8Array): Uint8Array => payload;
