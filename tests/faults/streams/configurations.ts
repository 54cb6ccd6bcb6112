/**
 * What is explored.
 *
 * @module
 */
import type { Op } from "./actor.ts";
import type { Configuration } from "./scene.ts";

const join = (id: string, after?: number): Op => ({
  do: "join",
  id,
  ...(after !== undefined && { after }),
});
const send = (to: string, count: number = 1, bytes?: number): Op[] =>
  Array.from({ length: count }, () => ({ do: "send", to, ...(bytes && { bytes }) }));
const close: Op = { do: "close" };
const publish: Op = { do: "publish" };
const announce = (to: string): Op => ({ do: "announce", to });

export const configurations: readonly Configuration[] = [
  {
    name: "meet",
    programs: [[join("a"), ...send("b", 2)], [join("b"), ...send("a", 2)]],
    kills: 1,
  },
  {
    name: "window",
    programs: [[join("a"), ...send("b", 7)], [join("b"), ...send("a", 2)]],
    isJoined: true,
  },
  {
    name: "killed",
    programs: [[join("a"), ...send("b", 5)], [join("b"), ...send("a", 1)]],
    isJoined: true,
    kills: 1,
  },
  {
    name: "overflow",
    programs: [[join("a"), ...send("b", 9)], [join("b")]],
    isJoined: true,
    maxQueue: 2,
  },
  {
    name: "vanishes",
    programs: [[join("a"), ...send("b", 4)], [join("b"), ...send("a", 2)]],
    isJoined: true,
    losses: 1,
  },
  {
    name: "long",
    programs: [[join("a"), ...send("b", 1, 70_000), ...send("b", 1)], [join("b")]],
    isJoined: true,
    kills: 1,
    mortal: [0],
  },
  {
    name: "full",
    programs: [[join("a"), ...send("c", 3)], [join("b"), ...send("c", 3)], [join("c")]],
    isJoined: true,
    capacity: 2,
  },
  {
    name: "farewell",
    programs: [[join("a"), ...send("b", 3), close], [join("b"), ...send("a", 2)]],
    isJoined: true,
  },
  {
    name: "successor",
    programs: [[join("a"), ...send("b", 2)], [join("b")], [join("a", 0), ...send("b", 2)]],
    isJoined: true,
    kills: 1,
    mortal: [0],
  },
  {
    name: "boards",
    programs: [[join("a"), publish, publish], [join("b"), { do: "read" }, publish]],
    kills: 1,
    mortal: [0],
  },
  {
    name: "announced",
    programs: [[join("a"), announce("b"), ...send("b"), announce("b")], [join("b"), announce("a")]],
    isJoined: true,
    kills: 1,
  },
  {
    name: "far",
    programs: [[join("a"), ...send("b", 3)], [join("b"), ...send("a", 2)]],
    isFar: true,
    losses: 2,
  },
  {
    name: "far-twice",
    programs: [[join("a"), ...send("b", 3)], [join("b"), ...send("a", 2)]],
    isFar: true,
    copies: 2,
  },
  {
    name: "far-boards",
    programs: [[join("a"), publish, ...send("b"), publish], [join("b"), publish]],
    isFar: true,
    losses: 2,
  },
  {
    name: "far-announced",
    programs: [[join("a"), announce("b"), announce("b")], [join("b"), announce("a")]],
    isFar: true,
    losses: 1,
  },
];
