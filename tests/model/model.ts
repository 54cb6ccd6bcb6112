/**
 * The required behaviour of a channel, written down without shared memory, slot words or rings. The model gets
 * each operation with its outcome, and throws when the outcome breaks the contract.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ChannelState } from "./channel_state.ts";
import { digest, digestOf } from "./content.ts";
import type {
  ClientOperation,
  Content,
  Event,
  Operation,
  Outcome,
  Received,
  ServerOperation,
} from "./operations.ts";
import { isOfClient } from "./operations.ts";
import {
  abortOf,
  eventIn,
  expectAnswer,
  expectError,
  expectReady,
  expectValue,
  fits,
  found,
  idIn,
  valueIn,
} from "./outcomes.ts";
import type { Answer, HeldRequest, Message, Wait } from "./state.ts";

/** Checks the outcome of each operation against the required state. */
export class Model extends ChannelState {
  /** Compares the outcome of an operation with the required one, and updates the state. */
  observe(operation: Operation, outcome: Outcome): void {
    this.serial += 1;
    if (operation.op !== "nextClientEvent" && operation.op !== "nextServerEvent") {
      this.beginOperation();
    }
    if (isOfClient(operation)) this.#ofClient(operation, outcome);
    else this.#ofServer(operation, outcome);
  }

  #ofClient(operation: ClientOperation, outcome: Outcome): void {
    switch (operation.op) {
      case "openClient":
        expectValue(outcome, null);
        this.clients.set(operation.client, { isOpen: true });
        return;
      case "closeClient":
        expectValue(outcome, null);
        return this.closeClient(operation.client);
      case "send":
        return this.#send(operation, outcome);
      case "sendLater":
        expectValue(outcome, null);
        return this.wait("room", operation.client, operation.wait, operation);
      case "post":
        if (this.#refuses(operation.client, operation.content, outcome)) return;
        expectValue(outcome, this.hasRoom);
        if (this.hasRoom) this.queueNew(operation.client, operation.content, { oneWay: true });
        return;
      case "ask": {
        expectValue(outcome, null);
        const message = this.queueNew(operation.client, operation.content, {});
        return this.wait("answer", operation.client, operation.wait, {
          message,
          into: operation.into,
        });
      }
      case "askInVain":
        if (this.#refuses(operation.client, operation.content, outcome)) return;
        if (!this.hasRoom) return expectError(outcome, "BUSY");
        this.countRequest();
        return expectError(outcome, "TIMEOUT");
      case "allocate":
        if (this.#refuses(operation.client, operation.content, outcome)) return;
        if (!this.hasRoom) return expectError(outcome, "BUSY");
        expectValue(outcome, operation.content.length);
        this.drafts.set(operation.draft, {
          client: operation.client,
          content: operation.content,
          isUsed: false,
        });
        return;
      case "sendDraft": {
        const message = this.#useDraft(operation.draft, outcome, {
          isLate: operation.timeout === 0,
        });
        if (!message) return;
        this.identify(message, idIn(outcome));
        this.calls.set(operation.call, message);
        return;
      }
      case "postDraft":
        if (this.#useDraft(operation.draft, outcome, { oneWay: true })) expectValue(outcome, null);
        return;
      case "askDraft": {
        expectValue(outcome, null);
        const message = this.#useDraft(operation.draft, outcome, {})!;
        return this.wait("answer", message.client, operation.wait, { message });
      }
      case "discardDraft":
        expectValue(outcome, null);
        found(this.drafts, operation.draft).isUsed = true;
        return;
      case "get":
        return this.#get(operation, outcome);
      case "ready": {
        const answer = this.#answerOf(operation.call, outcome);
        if (answer === "none") return expectError(outcome, "TIMEOUT");
        return answer ? expectReady(outcome, answer) : undefined;
      }
      case "view": {
        const answer = this.#answerOf(operation.call, outcome);
        if (answer === "none") return expectValue(outcome, null);
        return answer ? expectAnswer(outcome, answer) : undefined;
      }
      case "release": {
        expectValue(outcome, null);
        const message = found(this.calls, operation.call);
        if (message.state === "ready") message.state = "gone";
        else this.cancel(message);
        return;
      }
      case "cancel": {
        const message = found(this.calls, operation.call);
        if (!this.isOpen(message.client)) return expectError(outcome, "CLOSED");
        return expectValue(outcome, this.cancel(message));
      }
      case "cancelById": {
        if (!this.isOpen(operation.client)) return expectError(outcome, "CLOSED");
        const message = this.ids.get(operation.id);
        // No handle can cancel a posted request.
        return expectValue(outcome, message && !message.oneWay ? this.cancel(message) : false);
      }
      case "awaitCall": {
        expectValue(outcome, null);
        const message = found(this.calls, operation.call);
        const { call, wait, want } = operation;
        return this.wait(want, message.client, wait, { message, call });
      }
      case "abortClient": {
        const wait = found(this.waits, operation.wait);
        this.waits.delete(wait.name);
        expectValue(outcome, abortOf(wait, outcome));
        // An aborted request has ended; of a call only the wait has ended.
        if (wait.kind === "answer") this.cancel(wait.message!);
        return;
      }
      case "counts":
        if (!this.isOpen(operation.client)) return expectError(outcome, "CLOSED");
        return expectValue(outcome, this.counts(operation.client));
      case "nextClientEvent":
        return this.#clientEvent(eventIn(outcome));
    }
  }

  #ofServer(operation: ServerOperation, outcome: Outcome): void {
    switch (operation.op) {
      case "openServer":
        expectValue(outcome, null);
        this.servers.set(operation.server, { isOpen: true });
        return;
      case "closeServer":
        expectValue(outcome, null);
        return this.closeServer(operation.server);
      case "receive":
        if (!this.isOpen(operation.server)) return expectError(outcome, "CLOSED");
        return this.#receive(operation.server, outcome, operation.max ?? 1);
      case "receiveLater":
        expectValue(outcome, null);
        // It has looked before it waits.
        if (!this.hasRequest) this.skipLate();
        return this.wait("receive", operation.server, operation.wait, { max: operation.max ?? 1 });
      case "reply": {
        const request = found(this.requests, operation.request);
        const { content, how } = operation;
        const isTooLong = content.length > this.sizes.maxResponseBytes;
        if (!this.isOpen(request.server)) return expectError(outcome, "CLOSED");
        if (how === "allocate" && isTooLong) return expectError(outcome, "TOO_LARGE");
        if (how === "allocate" && request.isAnswered) return expectError(outcome, "CLOSED");
        return this.#reply(request, how === "echo" ? request.message.content : content, outcome);
      }
      case "fail": {
        const request = found(this.requests, operation.request);
        if (!this.isOpen(request.server)) return expectError(outcome, "CLOSED");
        const { message } = operation;
        return this.#answer(request, { error: "REMOTE", message }, outcome);
      }
      case "replyById":
      case "failById": {
        if (!this.isOpen(operation.server)) return expectError(outcome, "CLOSED");
        const request = [...this.requests.values()].find(({ server, message, isAnswered }) =>
          server === operation.server && message.id === operation.id && !isAnswered
        );
        if (!request) return expectValue(outcome, false);
        if (operation.op === "replyById") return this.#reply(request, operation.content, outcome);
        return this.#answer(request, { error: "REMOTE", message: operation.message }, outcome);
      }
      case "look": {
        const { server, message } = found(this.requests, operation.request);
        if (!this.isOpen(server)) {
          return expectValue(outcome, { bytes: digest(new Uint8Array(0)), cancelled: false });
        }
        return expectValue(outcome, {
          bytes: digestOf(message.content),
          cancelled: message.state === "abandoned",
        });
      }
      case "clear":
        if (!this.isOpen(operation.server)) return expectError(outcome, "CLOSED");
        return expectValue(outcome, this.cancelAll());
      case "abortServer": {
        const wait = found(this.waits, operation.wait);
        this.waits.delete(wait.name);
        return expectValue(outcome, abortOf(wait, outcome));
      }
      case "nextServerEvent":
        return this.#serverEvent(eventIn(outcome));
    }
  }

  // ---- clients -----------------------------------------------------------------------------

  /** Refusals that do not depend on the channel's state. */
  #refuses(client: string, { length }: Content, outcome: Outcome): boolean {
    const code = !this.isOpen(client)
      ? "CLOSED"
      : length > this.sizes.maxRequestBytes
      ? "TOO_LARGE"
      : null;
    if (code) expectError(outcome, code);
    return code !== null;
  }

  #send(operation: ClientOperation & { op: "send" }, outcome: Outcome): void {
    const { client, content, form, timeout, maxDeliveries } = operation;
    if (this.#refuses(client, content, outcome)) return;
    if (!this.hasRoom) {
      return form === "try" ? expectValue(outcome, null) : expectError(outcome, "BUSY");
    }
    const message = this.queueNew(client, content, { isLate: timeout === 0, maxDeliveries });
    this.identify(message, idIn(outcome));
    this.calls.set(operation.call, message);
  }

  #useDraft(
    name: string,
    outcome: Outcome,
    options: { readonly oneWay?: boolean; readonly isLate?: boolean },
  ): Message | null {
    const draft = found(this.drafts, name);
    if (draft.isUsed || !this.isOpen(draft.client)) {
      expectError(outcome, "CLOSED");
      return null;
    }
    draft.isUsed = true;
    return this.queueNew(draft.client, draft.content, options);
  }

  /** The answer of a call; "none": not yet; null: an expected error. */
  #answerOf(call: string, outcome: Outcome): Answer | "none" | null {
    const message = found(this.calls, call);
    if (!this.isOpen(message.client)) return expectError(outcome, "CLOSED"), null;
    switch (message.state) {
      case "ready":
        return message.answer!;
      case "gone":
      case "abandoned":
        return expectError(outcome, "CANCELLED"), null;
      case "queued":
      case "held":
        if (!message.isLate) return "none";
        this.cancel(message);
        return expectError(outcome, "TIMEOUT"), null;
    }
  }

  #get(operation: ClientOperation & { op: "get" }, outcome: Outcome): void {
    const { call, form, into } = operation;
    const answer = this.#answerOf(call, outcome);
    if (!answer) return;
    if (answer === "none") {
      return form === "try" ? expectValue(outcome, null) : expectError(outcome, "TIMEOUT");
    }
    if (!fits(answer, into)) return expectError(outcome, "TOO_LARGE");
    expectAnswer(outcome, answer);
    found(this.calls, call).state = "gone";
  }

  #clientEvent({ wait: name, outcome }: Event): void {
    const wait = found(this.waits, name);
    assert(this.isDue(wait), `${wait.kind} has settled too early: ${JSON.stringify(outcome)}`);
    this.waits.delete(name);
    if (wait.isClosed) return expectError(outcome, "CLOSED");
    if (wait.kind === "room") {
      this.#expectFirst(wait);
      const message = this.queueNew(wait.handle, wait.content!, {});
      this.identify(message, idIn(outcome));
      this.calls.set(wait.call!, message);
      return;
    }
    const message = wait.message!;
    if (message.state === "queued") {
      this.cancel(message);
      return expectError(outcome, "TIMEOUT");
    }
    if (message.state !== "ready") return expectError(outcome, "CANCELLED");
    if (wait.kind === "ready") return expectReady(outcome, message.answer!);
    message.state = "gone";
    // No other wait could get the answer of a request that has its own `into`.
    if (!fits(message.answer!, wait.into)) return expectError(outcome, "TOO_LARGE");
    expectAnswer(outcome, message.answer!);
  }

  /** The waits of one handle end in the order in which they began. */
  #expectFirst({ name, kind, handle }: Wait): void {
    const age = (name: string) => Number(name.slice(1));
    for (const other of this.waits.values()) {
      if (other.kind !== kind || other.handle !== handle) continue;
      assert(
        age(other.name) > age(name),
        `${name} was served before ${other.name}, which is older`,
      );
    }
  }

  // ---- servers -----------------------------------------------------------------------------

  #receive(server: string, outcome: Outcome, max: number): void {
    const received = valueIn<Received[]>(outcome);
    assert(received.length <= max, `${received.length} requests instead of at most ${max}`);
    for (const request of received) {
      this.skipLate();
      this.#take(server, request);
    }
    if (received.length === max) return;
    this.skipLate();
    assertEquals(this.queue.length, 0, "a request is in the queue and was not handed out");
  }

  #take(server: string, received: Received): void {
    const group = this.queue[0];
    assert(group, `a request out of nowhere: ${JSON.stringify(received)}`);
    const message = group.length === 1 ? group[0]! : group.find(({ id }) => id === received.id);
    assert(message, `not the oldest request: ${JSON.stringify(received)}`);
    this.identify(message, received.id);
    this.deliver(message, server, received.request);
    const { content, oneWay, deliveries } = message;
    assertEquals(received, {
      request: received.request,
      id: received.id,
      bytes: digestOf(content),
      isText: content.isText,
      oneWay,
      deliveries,
      cancelled: false,
    });
  }

  #reply(request: HeldRequest, content: Content, outcome: Outcome): void {
    const { message, isAnswered } = request;
    const { length } = content;
    if (!isAnswered && length > this.sizes.maxResponseBytes) {
      // If no client waits for the answer, it may be too long.
      const matters = message.state === "held" && !message.oneWay;
      if (matters || "error" in outcome) return expectError(outcome, "TOO_LARGE");
    }
    this.#answer(request, { bytes: digestOf(content), length }, outcome);
  }

  #answer(request: HeldRequest, answer: Answer, outcome: Outcome): void {
    expectValue(outcome, request.isAnswered ? false : this.answer(request, answer));
  }

  #serverEvent({ wait: name, outcome }: Event): void {
    const wait = found(this.waits, name);
    assert(this.isDue(wait), `${name} has settled too early: ${JSON.stringify(outcome)}`);
    this.waits.delete(name);
    if (wait.isClosed) return expectError(outcome, "CLOSED");
    this.#expectFirst(wait);
    const received = valueIn<Received[]>(outcome);
    assert(received.length > 0, "a wait without a limit has ended with nothing");
    assert(received.length <= wait.max!, `${received.length} requests, at most ${wait.max}`);
    for (const request of received) {
      this.skipLate();
      this.#take(wait.handle, request);
    }
    // It has looked for more.
    if (received.length < wait.max!) this.skipLate();
  }
}
