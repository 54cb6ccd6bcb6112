import { assertEquals, assertThrows } from "@std/assert";
import { findGroup, findUser } from "../../src/runtime/accounts.ts";
import { test } from "../support/harness.ts";

test("users and groups are found by name and by number", () => {
  assertEquals(findUser("root"), { name: "root", uid: 0, gid: 0, home: "/root" });
  assertEquals(findUser(0), findUser("root"));
  assertEquals(findUser(String(findUser("nobody").uid)).name, "nobody");
  assertEquals([findGroup("root"), findGroup("123456"), findGroup(7)], [0, 123456, 7]);
  for (const wrong of ["no such user", "", "-1", "4294967295", "1987654321"]) {
    assertThrows(() => findUser(wrong), RangeError, "the system has none");
  }
  assertThrows(() => findGroup("no such group"), RangeError, "the system has none");
});
