/**
 * Answers the calls that wait while no worker can start: their callers get the reason.
 *
 * @module
 */
import { ServerCore } from "../../channel/server_core.ts";
import type { Offered } from "../../rpc/interface.ts";
import { ServiceCore } from "../../rpc/service_core.ts";
import { parseServiceOptions } from "../../rpc/terms.ts";
import { ChannelReceiver } from "../../transport/shared_memory.ts";

/** Offers each method that anyone calls. */
class AnyMethod extends Map<string, Offered> {
  readonly #refuse: () => never;

  constructor(refuse: () => never) {
    super();
    this.#refuse = refuse;
  }

  override get(name: string): Offered {
    return { name, self: undefined, bare: this.#refuse, wasRaw: false };
  }
}

/** Refuses calls of a channel until it is closed. */
export class Refusals {
  readonly #service: ServiceCore;

  /** @param fd a descriptor of the channel */
  constructor(fd: number, reason: unknown) {
    const receiver = new ChannelReceiver(ServerCore.fromFd(fd));
    receiver.unref();
    const methods = new AnyMethod(() => {
      throw reason;
    });
    this.#service = new ServiceCore(receiver, methods, parseServiceOptions({}));
  }

  /** Calls that come from now on wait for a worker. */
  close(): void {
    void this.#service.close({ timeout: 0 });
  }
}
