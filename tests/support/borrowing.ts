/** A service of fixtures/by_reference.ts, and a connection to it from here. */
import { connect, type ConnectOptions, type Remote, type ServiceOptions } from "../../mod.ts";
import type { Borrower } from "../fixtures/by_reference.ts";
import { CustomError } from "../fixtures/typed_errors.ts";
import type { Child } from "./harness.ts";
import type { Hosted, ProcessSite, Site } from "./site.ts";

export interface Borrowing<H extends Hosted> extends Disposable {
  readonly service: H;
  readonly target: string;
  readonly remote: Remote<Borrower>;
  /** Ends the service. */
  stop(): Promise<void>;
}

export function borrowing(
  site: ProcessSite,
  serviceOptions?: ServiceOptions,
  options?: ConnectOptions,
): Promise<Borrowing<Child>>;
export function borrowing(
  site: Site,
  serviceOptions?: ServiceOptions,
  options?: ConnectOptions,
): Promise<Borrowing<Hosted>>;
export async function borrowing(
  site: Site,
  serviceOptions: ServiceOptions = {},
  options: ConnectOptions = {},
): Promise<Borrowing<Hosted>> {
  const target = site.newTarget();
  const service = await site.start("by_reference.ts", target, serviceOptions);
  const remote = connect<Borrower>(target, {
    timeout: 30_000,
    errors: [CustomError],
    ...options,
  });
  const stop = async () => {
    service.send("stop");
    await service.expect("stopped");
  };
  return { service, target, remote, stop, [Symbol.dispose]: () => remote[Symbol.dispose]() };
}
