/** Mailboxes of nodes that have gone are closed later. */
import { assertEquals } from "@std/assert";
import { LateClosing } from "../../../src/node/hall/late_closing.ts";
import { eventually, test } from "../../support/harness.ts";

test("what is to be closed later is closed later, once", async () => {
  const late = new LateClosing();
  const closed: string[] = [];
  late.add({ close: () => closed.push("one") });
  late.add({ close: () => closed.push("two") });
  assertEquals(closed, []);
  await eventually(() => closed.length === 2, "both are closed");
  late.close();
  assertEquals(closed, ["one", "two"]);
});

test("what waits is closed at once at the end, and one that throws keeps no other", () => {
  const late = new LateClosing();
  const closed: string[] = [];
  late.add({
    close() {
      throw new Error("not closed");
    },
  });
  late.add({ close: () => closed.push("two") });
  late.close();
  assertEquals(closed, ["two"]);
});
