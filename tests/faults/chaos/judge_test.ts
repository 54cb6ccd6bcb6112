/** The rules by which a run is judged: each of them finds its kind of fault. */
import { assertEquals } from "@std/assert";
import { test } from "../../support/harness.ts";
import type { CallRecord, DeliveryRecord } from "./books.ts";
import { Content } from "./content.ts";
import { type Clear, Judge } from "./judge.ts";
import { ClientFlag, DeliveryOutcome, Outcome, ServerFlag, State } from "./ledger.ts";
import type { Fate, Player } from "./troupe.ts";

const client = 1;
const number = 7;

/** A call of 100 bytes that lasted from 1,000 to 1,010 ms. */
function call(outcome: number, more: Partial<CallRecord> = {}): CallRecord {
  return {
    client,
    number,
    state: State.ended,
    form: 0,
    maxDeliveries: 2,
    length: 100,
    start: 1_000,
    flags: outcome === Outcome.posted ? ClientFlag.posts : 0,
    outcome,
    end: 1_010,
    id: 65_536,
    server: 10,
    delivery: 1,
    ...more,
  };
}

function handed(
  delivery: number,
  outcome: number,
  fate: Fate = "finished",
  more: Partial<DeliveryRecord> = {},
): DeliveryRecord {
  return {
    server: { fate, part: { id: 9 + delivery } } as Player,
    record: 0,
    delivery,
    id: 65_536,
    flags: 0,
    length: 100,
    hash: 0,
    outcome,
    start: 1_001,
    end: 1_005,
    call: { client, number },
    ...more,
  };
}

const content = new Content(1);

/** The call's failure and its unseen deliveries. */
function judge(
  record: CallRecord,
  deliveries: DeliveryRecord[],
  clears: Clear[] = [],
): [string | null, readonly number[]] {
  const { failure, unseen } = new Judge(content, clears).judge(record, deliveries);
  return [failure, unseen];
}

const { answered, remote, serverDied, timeout, cancelled, posted, busy } = Outcome;
const { replied, repliedInVain, failed, returned, replying, none, closed } = DeliveryOutcome;

test("the judge: accepts each permitted history of a call", () => {
  const died = handed(1, none, "killed");
  const second = call(answered, { server: 11, delivery: 2 });
  const oneWay = { flags: ServerFlag.oneWay };
  assertEquals(judge(call(answered), [handed(1, replied)]), [null, []]);
  assertEquals(judge(call(remote), [handed(1, failed)]), [null, []]);
  assertEquals(judge(call(answered), [handed(1, replying, "killed")]), [null, []]);
  assertEquals(judge(second, [died, handed(2, replied)]), [null, []]);
  assertEquals(judge(second, [handed(1, closed), handed(2, returned)]), [null, []]);
  assertEquals(judge(second, [handed(2, replied)]), [null, [1]]);
  assertEquals(judge(call(serverDied), [died, handed(2, closed)]), [null, []]);
  assertEquals(judge(call(serverDied), []), [null, [1, 2]]);
  assertEquals(judge(call(timeout), [handed(1, repliedInVain)]), [null, []]);
  assertEquals(judge(call(cancelled), [], [[900, 1_000, 1]]), [null, []]);
  assertEquals(judge(call(posted), [handed(1, replied, "finished", oneWay)]), [null, []]);
  assertEquals(judge(call(posted), [], [[1_100, 1_101, 1]]), [null, []]);
  assertEquals(judge(call(busy), []), [null, []]);
});

test("the judge: refuses each forbidden history of a call", () => {
  const failure = (record: CallRecord, deliveries: DeliveryRecord[], clears?: Clear[]) =>
    judge(record, deliveries, clears)[0] !== null;
  const twice = [handed(1, closed), handed(1, replied)];
  const third = handed(3, replied, "finished", { server: handed(1, replied).server });
  const wrong: [CallRecord, DeliveryRecord[], Clear[]?][] = [
    [call(answered), []],
    [call(answered, { server: 12 }), [handed(1, replied)]],
    [call(answered, { delivery: 2 }), [handed(1, replied)]],
    [call(answered), [handed(1, repliedInVain)]],
    [call(answered), [handed(1, failed)]],
    [call(remote), [handed(1, replied)]],
    [call(answered), twice],
    [call(answered, { delivery: 3 }), [handed(1, closed), handed(2, closed), third]],
    [call(answered, { server: 11, delivery: 2 }), [handed(1, repliedInVain), handed(2, replied)]],
    [call(answered, { server: 11, delivery: 2 }), [handed(1, returned), handed(2, replied)]],
    [call(answered), [handed(1, replied, "finished", { length: 99 })]],
    [call(answered), [handed(1, replied, "finished", { id: 1 })]],
    [call(answered), [handed(1, replied, "finished", { flags: ServerFlag.wrongBytes })]],
    [call(answered), [handed(1, replied, "finished", { flags: ServerFlag.oneWay })]],
    [call(answered, { length: 5 }), [handed(1, replied, "finished", { length: 5, call: null })]],
    [call(answered), [handed(1, none)]],
    [call(serverDied), [handed(1, closed), handed(2, replied)]],
    [call(serverDied), [handed(1, returned)]],
    [call(timeout), [handed(1, replied)]],
    [call(cancelled, { flags: ClientFlag.cancels }), [handed(1, replied)]],
    [call(cancelled), []],
    [call(cancelled), [], [[1_011, 1_012, 1]]],
    [call(busy), [handed(1, replied)]],
    [call(posted), [handed(1, repliedInVain, "finished", { flags: ServerFlag.oneWay })]],
    [call(Outcome.wrong), [handed(1, replied)]],
    [call(Outcome.unexpected), []],
  ];
  assertEquals(wrong.filter((arguments_) => !failure(...arguments_)), []);
});

test("the judge: a posted request that is in no ledger has used up all its deliveries unseen", () => {
  assertEquals(judge(call(posted), []), [null, [1, 2]]);
  const oneWay = { flags: ServerFlag.oneWay };
  assertEquals(judge(call(posted), [handed(1, closed, "finished", oneWay)]), [null, [2]]);
  assertEquals(judge(call(posted), [], [[1, 2, 3]]), [null, [1, 2]]);
});
