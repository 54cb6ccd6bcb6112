/** The host of a stream or a long message is lost while another process turns to it. */
import { TandemError } from "../../mod.ts";
import { ErrorClasses } from "../../src/codec/error_classes.ts";
import { Endpoint } from "../../src/rpc/endpoint.ts";
import type { Limits } from "../../src/rpc/terms.ts";
import type { End, Requester } from "../../src/transport/transport.ts";
import { assertThrowsCode, test } from "../support/harness.ts";

const limits: Limits = { maxMessageBytes: 2 ** 20, maxTreeBytes: 2 ** 20 };

/** An end whose private paths fail, when they are opened or at the first request. */
function endpointOf(open: () => Requester): Endpoint {
  return new Endpoint({ connectPrivate: open } as unknown as End, new ErrorClasses(), limits);
}

const gone = () => new TandemError("NOT_FOUND", "Cannot send a request: the channel was unlinked");

test("a host whose channel is gone has died", () => {
  const endpoint = endpointOf(() => {
    throw gone();
  });
  assertThrowsCode(() => endpoint.peer("u0/p1"), "SERVER_DIED", "has died or closed");
});

test("a host whose channel goes between its opening and the first request has died", () => {
  const requester: Partial<Requester> = {
    maxRequestBytes: 1_024,
    receivers: 1,
    onLoss: () => {},
    request: () => {
      throw gone();
    },
    close: () => {},
  };
  const endpoint = endpointOf(() => requester as Requester);
  assertThrowsCode(() => endpoint.peer("u0/p1"), "SERVER_DIED", "has died or closed");
});
