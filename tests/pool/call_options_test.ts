/** Options of calls reach the calls of a pool, of its sessions, and of attached pools. */
import { assert, assertEquals } from "@std/assert";
import { Pool, type PoolCallOptions } from "../../src/pool/main.ts";
import type { Api } from "../fixtures/pool/call_options.ts";
import { NotFound } from "../fixtures/pool/not_found.ts";
import { atEnd } from "../support/harness.ts";
import { startPool, workerFile } from "../support/pool.ts";
import { poolTest } from "../support/pool_ways.ts";
import { rejection } from "../support/rpc_helper.ts";

function optionsNoting(methods: string[]): PoolCallOptions {
  return {
    errors: { NotFound },
    around: async (call, next) => {
      call.metadata = { tenant: "a" };
      return await next();
    },
    onCall: ({ method, outcome }) => void methods.push(`${method} ${outcome}`),
  };
}

poolTest(
  "around, error classes and onCall: of a pool, its sessions, and an attached pool",
  async (way) => {
    const [own, others]: [string[], string[]] = [[], []];
    const target = way.newTarget();
    const size = { min: 1, max: 1, target };
    const pool = startPool<Api>({ ...size, ...optionsNoting(own) }, workerFile("call_options.ts"));
    const attached = Pool.attach<Api>(target, optionsNoting(others));
    // deno-lint-ignore require-await -- cleanups are asynchronous
    atEnd(async () => attached.close());

    for (const { call } of [pool, attached]) {
      assertEquals(await call.tenant(), "<a>");
      const error = await rejection(call.find("thing"));
      assert(error instanceof NotFound, String(error));
      assertEquals(error.message, "no thing");
    }
    assertEquals(own, ["tenant ok", "find REMOTE"]);
    assertEquals(others, own);

    const session = await pool.checkout({ afterError: "keep" });
    assertEquals(await session.call.tenant(), "<a>");
    assert(await rejection(session.call.find("thing")) instanceof NotFound);
    await session.close();
  },
);
