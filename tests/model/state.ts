/**
 * The objects of which the model of a channel consists.
 *
 * @module
 */
import type { Content } from "./operations.ts";

/** A client's result. */
export type Answer =
  | { readonly bytes: string; readonly length: number }
  | { readonly error: string; readonly message?: string };

/** A request from being queued to its slot being free. */
export interface Message {
  readonly client: string;
  readonly content: Content;
  readonly oneWay: boolean;
  /** Its deadline had passed when it was sent. */
  readonly isLate: boolean;
  readonly maxDeliveries: number;
  /** `abandoned`: its server works on it, and no client waits. */
  state: "queued" | "held" | "abandoned" | "ready" | "gone";
  /** Known once a server has it, if the client does not know it. */
  id: string | null;
  server: string | null;
  deliveries: number;
  answer: Answer | null;
}

/** A request that a server holds. */
export interface HeldRequest {
  readonly name: string;
  readonly server: string;
  readonly message: Message;
  isAnswered: boolean;
}

/** A draft that was allocated. */
export interface OpenDraft {
  readonly client: string;
  readonly content: Content;
  isUsed: boolean;
}

/** A promise that is pending. */
export interface Wait {
  readonly name: string;
  readonly kind: "room" | "answer" | "get" | "ready" | "receive";
  /** Of a client or of a server. */
  readonly handle: string;
  readonly message?: Message;
  readonly call?: string;
  readonly content?: Content;
  readonly max?: number;
  readonly into?: number | undefined;
  /** Its handle was closed. */
  isClosed: boolean;
}

/** A handle that was opened. */
export interface OpenHandle {
  isOpen: boolean;
}
