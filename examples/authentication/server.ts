/**
 * Keeps the accounts, and tells the audit about each deposit.
 *
 * @module
 */
import { callContext, connect, serve } from "@tandem/ipc";
import { type Accounts, type Audit, errors } from "./api.ts";
import { checked, signed } from "./around.ts";

const stop = new AbortController();
const deposits = new Map<unknown, number[]>();

using audit = connect<Audit>("example-authentication-audit", {
  timeout: 10_000,
  around: signed("accounts", "secret of the accounts"),
  errors,
});

const api: Accounts = {
  async deposit(amount) {
    const { user } = callContext()!.metadata;
    const own = deposits.get(user) ?? [];
    deposits.set(user, [...own, amount]);
    await audit.note(`${user} deposits ${amount}`);
    return [...own, amount].reduce((sum, each) => sum + each);
  },

  async *history() {
    // Metadata is there in the body of a generator, too.
    yield* deposits.get(callContext()!.metadata["user"]) ?? [];
  },

  async quit() {
    await audit.quit();
    stop.abort();
  },
};

const around = checked(new Map([["ada", "secret of ada"], ["bob", "secret of bob"]]));
const { signal } = stop;
const service = serve("example-authentication", api, { around, errors, signal });
// When the signal aborts, the service answers the calls in progress, and ends.
await service.finished;
service.unlink();
