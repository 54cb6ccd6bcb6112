/**
 * Names of channels that no other run uses.
 *
 * @module
 */
import process from "node:process";
import { Server } from "../../mod.ts";

/**
 * The name of a new channel. Disposal, or the end of this process, removes the channel.
 */
export class Target implements Disposable {
  readonly name: string;
  readonly #remove = (): void => void Server.unlink(this.name);

  constructor(purpose: string) {
    this.name = `bench-${purpose}-${process.pid}-${crypto.randomUUID().slice(0, 8)}`;
    process.on("exit", this.#remove);
  }

  [Symbol.dispose](): void {
    process.off("exit", this.#remove);
    this.#remove();
  }
}
