/**
 * Turns the native side's status into an error that says what was tried, what was found and what to do.
 *
 * @module
 */
import { callFailure, type ControlBlock, openFailure } from "../channel/failure.ts";
import { TandemError } from "../errors.ts";
import { Control, Detail, Status } from "../ffi/layout.ts";
import { orders } from "./options.ts";

/** @param tried such as `acquire a lock of "nightly"` */
export function limitFailure(negative: number, tried: string, control: ControlBlock): Error {
  switch (-negative) {
    case Status.mismatch:
      return new TandemError("MISMATCH", `Cannot ${tried}: ${differenceIn(control)}`);
    case Status.busy:
      return new TandemError("BUSY", `Cannot ${tried}: ${busyReason(control)}`);
    case Status.corrupt:
      return new TandemError(
        "CORRUPT",
        `Cannot ${tried}: its file is damaged or was truncated; end its users, and remove it`,
      );
    case Status.noSpace:
      return openFailure(negative, tried, control, "limit");
  }
  return callFailure(negative, tried);
}

function differenceIn({ words, numbers }: ControlBlock): string {
  const found = numbers[Control.found]!;
  const wanted = numbers[Control.wanted]!;
  const isOrder = words[Control.detail] === Detail.limitOrder;
  const difference = isOrder
    ? `its order is ${nameOf(found)}, but the option asks for ${nameOf(wanted)}`
    : `its max is ${found}, but the option asks for ${wanted}`;
  return `${difference}, and others hold or wait; leave the option out, give the same in all programs, ` +
    "or wait until nobody uses the limit";
}

function nameOf(order: number): string {
  return JSON.stringify(orders[order - 1] ?? "unknown");
}

function busyReason({ words }: ControlBlock): string {
  return words[Control.detail] === Detail.tickets
    ? "it has given out all its tickets; end its users, and remove its file"
    : "others keep changing it; try again";
}
