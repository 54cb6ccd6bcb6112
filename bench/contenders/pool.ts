/**
 * A pool of workers that runs a trivial task. The address is the kind and the mode, as JSON.
 *
 * @module
 */
import type { PromiseCall } from "../lib/calling.ts";
import { openPool, type PoolKind, type PoolMode } from "../pool/pools.ts";
import type { Contender } from "./contender.ts";

export const contender: Contender = {
  async connect(address) {
    const [kind, mode] = JSON.parse(address) as [PoolKind, PoolMode];
    const pool = await openPool(kind, mode);
    // A number costs every pool less than bytes. The payload's own bytes are not sent.
    const call: PromiseCall = async (payload) => {
      const value = payload[0]!;
      const answer = await pool.run(value);
      if (answer !== value) throw new Error(`Not an echo: ${answer} for ${value}`);
      return payload;
    };
    return { call };
  },
};
