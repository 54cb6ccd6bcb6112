/**
 * Two users with the right token, and one who pretends to be another.
 *
 * @module
 */
import { connect, type Remote } from "@tandem/ipc";
import { type Accounts, errors, Unauthorized } from "./api.ts";
import { signed } from "./around.ts";

/** A connection for one user: everything that it calls is signed. */
function connectAs(user: string, token: string): Remote<Accounts> {
  const around = signed(user, token);
  return connect<Accounts>("example-authentication", { timeout: 10_000, around, errors });
}

using ada = connectAs("ada", "secret of ada");
using bob = connectAs("bob", "secret of bob");
console.log("ada has", await ada.deposit(5), "and then", await ada.deposit(7));
console.log("bob has", await bob.deposit(1));
console.log("ada's deposits:", (await Array.fromAsync(ada.history())).join(", "));

using mallory = connectAs("ada", "a guess");
try {
  await mallory.deposit(-12);
} catch (error) {
  if (!(error instanceof Unauthorized)) throw error;
  console.log("refused:", error.message);
}

await ada.quit();
