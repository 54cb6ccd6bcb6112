/**
 * Uses the database of another process.
 *
 * @module
 */
import { connect, RemoteError } from "@tandem/ipc";
import type { Database } from "./api.ts";

using database = connect<Database>("example-sqlite-writer", { timeout: 10_000 });

await database.run("create table measures (place text, value real, unique (place, value))");

// Four transactions at the same time. The server runs one after another.
const places = ["north", "south", "east", "west"];
const changes = await Promise.all(places.map((place, index) =>
  database.transaction(
    Array.from({ length: 250 }, (_, step) => [
      "insert into measures values (?, ?)",
      place,
      index * 1000 + step / 2,
    ]),
  )
));
console.log("inserted", changes.reduce((sum, count) => sum + count, 0));

for await (
  const { place, mean } of database.rows(
    "select place, avg(value) as mean from measures group by place order by mean",
  )
) console.log(place, mean);

try {
  await database.transaction([
    ["insert into measures values ('nowhere', 1)"],
    ["insert into measures values ('north', 0)"],
  ]);
} catch (error) {
  if (!(error instanceof RemoteError)) throw error;
  console.log("rolled back:", error.remoteMessage);
}
const [count] = await Array.fromAsync(
  database.rows("select count(*) as count from measures where place = ?", "nowhere"),
);
console.log("nowhere has", count?.["count"]);

// Reads the first rows of a million. The server never reads the others.
let read = 0;
for await (const _ of database.rows("select * from measures, measures as others")) {
  if (++read === 3) break;
}
console.log(`${read} of a million rows`);

await database.quit();
