/**
 * A name for the claim of a key, for files and for subjects of NATS.
 *
 * @module
 */
import { hashOf } from "../../limit/lock_names.ts";
import { placeOf } from "./board.ts";

/** @param hintMax so many characters of the family are in the name, for people */
export function claimName(family: string, key: string, hintMax: number): string {
  const hint = family.slice(0, hintMax).replaceAll(":", "-");
  return `claim.${hint}.${hashOf(placeOf(family, key))}`;
}
