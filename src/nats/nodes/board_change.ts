/**
 * What changes from one board of a node to the next: so a node with many entries need not tell all of them when one
 * changes.
 *
 * @module
 */
import { isEqual } from "../../base/bytes.ts";
import type { BoardParts } from "../../node/registry/board.ts";
import type { BoardChange } from "./frames.ts";

/**
 * The way from one list of items to the next. Nodes append what is new, and what has changed.
 *
 * @returns null: it is another node's, or has another name
 */
export function changeOf(
  before: BoardParts,
  after: BoardParts,
  version: number,
): BoardChange | null {
  const [one, other] = [before.identity, after.identity];
  if (one.id !== other.id || one.name !== other.name || one.start !== other.start) return null;
  const removed: number[] = [];
  let stay = 0;
  for (const [place, item] of before.items.entries()) {
    if (stay < after.items.length && isEqual(item, after.items[stay]!)) stay += 1;
    else removed.push(place);
  }
  return { version, removed, added: after.items.slice(stay) };
}

/** The next list of items. Null: the change does not fit. */
export function changed(
  items: readonly Uint8Array[],
  { removed, added }: BoardChange,
): Uint8Array[] | null {
  const doesAscend = removed.every((place, index) => index === 0 || removed[index - 1]! < place);
  if (!doesAscend || (removed.at(-1) ?? -1) >= items.length) return null;
  let gone = 0;
  const stay = items.filter((_, place) => {
    const isGone = removed[gone] === place;
    if (isGone) gone += 1;
    return !isGone;
  });
  // The message that brought them is not kept.
  return stay.concat(added.map((item) => item.slice()));
}
