// One way to the services: Connect at the page's own origin, with the session's cookie. Nobody else is ever asked.
import { createConnectTransport } from "@connectrpc/connect-web";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { ConsentService } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import { OffersService } from "../gen/obole/offers/v1/service_pb";
import { SettlementService } from "../gen/obole/settlement/v1/service_pb";
import { faultOf } from "./fault";

const sessionEnded = new Set<() => void>();

/** Calls back when a call is refused because nobody is signed in any more. Answers with how to stop. */
export function onSessionEnd(then: () => void): () => void {
  sessionEnded.add(then);
  return () => sessionEnded.delete(then);
}

const notOwners = new Set<() => void>();

/** Calls back when a call is refused because what it asks for is somebody else's. Answers with how to stop. */
export function onNotOwner(then: () => void): () => void {
  notOwners.add(then);
  return () => notOwners.delete(then);
}

const watchSession: Interceptor = (next) => async (request) => {
  try {
    return await next(request);
  } catch (thrown) {
    const { kind, reason } = faultOf(thrown);
    if (kind === "session") for (const then of sessionEnded) then();
    if (reason === "NOT_OWNER") for (const then of notOwners) then();
    throw thrown;
  }
};

/** A way to the services below a path of the edge. */
export function transportTo(baseUrl: string): Transport {
  return createConnectTransport({
    baseUrl,
    interceptors: [watchSession],
    defaultTimeoutMs: 15_000,
    fetch: (input, init) => fetch(input, { ...init, credentials: "same-origin", cache: "no-store", redirect: "error" }),
  });
}

export const transport: Transport = transportTo("/rpc");

export const consent = createClient(ConsentService, transport);
export const delivery = createClient(DeliveryService, transport);
export const offers = createClient(OffersService, transport);
export const settlement = createClient(SettlementService, transport);

/** A fresh idempotency key. It is made when a person begins an act, not when it is sent, so that trying again is the same act. */
export function newKey(): string {
  return crypto.randomUUID();
}
