/**
 * The only process that has the database open. Its methods wait for nothing, so they run one after another,
 * and no client meets a locked database.
 *
 * @module
 */
import { serve } from "@tandem/ipc";
import { DatabaseSync } from "node:sqlite";
import type { Database, Value } from "./api.ts";

const stopped = Promise.withResolvers<void>();
// With a file, Deno needs --allow-read and --allow-write.
const database = new DatabaseSync(":memory:");

const api: Database = {
  run: (sql, ...values) => ({ changes: Number(database.prepare(sql).run(...values).changes) }),

  transaction(statements) {
    database.exec("begin immediate");
    try {
      let changes = 0;
      for (const [sql, ...values] of statements) {
        changes += Number(database.prepare(sql).run(...values).changes);
      }
      database.exec("commit");
      return changes;
    } catch (error) {
      database.exec("rollback");
      throw error;
    }
  },

  *rows(sql, ...values) {
    // Reads a row when the client asks for it, so that a million rows take no memory.
    for (const row of database.prepare(sql).iterate(...values)) {
      yield row as Record<string, Value>;
    }
  },

  quit: () => stopped.resolve(),
};

await using service = serve("example-sqlite-writer", api);
await stopped.promise;
service.unlink();
