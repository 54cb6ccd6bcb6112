/**
 * The tests of the conformance suite, and those of pools that run over NATS as well, that cannot pass over `nats://`,
 * and why. Names without the transport. `tests/nats/` has what holds instead.
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

const waitsOutside =
  "calls that wait for a worker wait at their callers, where no pool counts or orders them";
const replacedMeanwhile =
  "everywhere() first asks for the pools: the worker that died has been replaced when the call comes";
const opensLate = "a pool serves its target when a worker is ready: until then there is no service";
const otherPools =
  "a pool that drains or closes leaves the target to others: callers get BUSY or NO_SERVER, those under way SERVER_DIED";

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

  // Of pools: tests/pool/nats_test.ts has what holds instead.
  "one worker: calls are served in the order in which they were made": waitsOutside,
  "a full queue: one more call is BUSY at once, and the waiting ones are served": waitsOutside,
  "maxQueue 0: a call that no worker can take is BUSY, also one that comes before there are workers":
    waitsOutside,
  "the timeout covers the start of the first worker": opensLate,
  "everywhere waits for busy workers, and one that dies has a result of its own": replacedMeanwhile,
  "drain: new calls are CLOSED, the accepted ones end, and it resolves to true": otherPools,
  "drain: false at the timeout; the calls go on, and new ones are CLOSED": otherPools,
  "close with calls that do not end: after stopTimeout they reject with CLOSED, and their workers are killed":
    otherPools,
};
