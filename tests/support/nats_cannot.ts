/**
 * The tests of the conformance suite that cannot pass over `nats://`, and why. Names without the transport.
 *
 * @module
 */
export const natsCannot: Readonly<Record<string, string>> = {};
