/**
 * The tests of the conformance suite that cannot pass over `nats://`, and why. Names without the transport.
 * `tests/nats/` has what holds instead.
 *
 * @module
 */
const notConnected =
  "a first call that ends before the connection is up ends with TIMEOUT: nobody knows yet whether there is a service";
const leavesGroup =
  "a service without room leaves the queue group: calls that wait for room end with BUSY, not TIMEOUT";
const ownNumbers = "stats() has the numbers of one service, not those of the target";
const atRandom = "NATS gives calls to the members of a queue group at random";

const asksFirst =
  "everywhere() first asks for the services, and reads the arguments when they have answered";
const noName = "a topic is a subject, which nobody can remove";
const ahead = "a loop over a stream asks for up to eight items ahead";

export const natsCannot: Readonly<Record<string, string>> = {
  "no target: NO_SERVER when the time runs out": notConnected,
  "a stream of a call that was never sent ends with the call": notConnected,
  "many time-outs at once, short and fractional ones too": notConnected,
  'a target without a service: whenAbsent "fail" fails at once and sends nothing': ownNumbers,
  "a service is there and silent: TIMEOUT": leavesGroup,
  "functions and signals go to every service, and to a certain one": asksFirst,
  "a stream argument ends where the method stops, or with the call": ahead,
  "the least busy service gets the next call": atRandom,
  "a topic that is unlinked ends its subscriptions, and is made anew": noName,
};
