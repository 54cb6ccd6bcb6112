/**
 * A database that refuses writers who have lost their lock.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";

/** Notes in SQLite, with the greatest token that has written so far. */
export class Store implements Disposable {
  readonly #database: DatabaseSync;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      create table if not exists fence (only integer primary key check (only = 1), token integer not null);
      create table if not exists notes (text text not null);
      insert or ignore into fence values (1, 0);
    `);
  }

  /**
   * Adds a note, unless a writer with a greater token has been here. Returns whether it was added. Check and
   * change are one transaction: nobody can come between them.
   */
  add(token: bigint, text: string): boolean {
    this.#database.exec("begin immediate");
    try {
      const raised = this.#database.prepare("update fence set token = ?1 where token <= ?1")
        .run(token);
      const isCurrent = Number(raised.changes) === 1;
      if (isCurrent) this.#database.prepare("insert into notes values (?)").run(text);
      this.#database.exec("commit");
      return isCurrent;
    } catch (error) {
      this.#database.exec("rollback");
      throw error;
    }
  }

  notes(): string[] {
    return this.#database.prepare("select text from notes order by rowid").all()
      .map(({ text }) => String(text));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
