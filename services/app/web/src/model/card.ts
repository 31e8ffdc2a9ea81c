// The card: what a person is shown is exactly what is hashed into the event.
import { fromBinary } from "@bufbuild/protobuf";
import { ConsentState } from "../gen/obole/consent/v1/service_pb";
import type { Licence } from "../gen/obole/market/v1/market_pb";
import { CardSchema, OfferState, type Card, type Offer } from "../gen/obole/offers/v1/service_pb";

export interface Shown {
  card: Card;
  /** SHA-256 over the card's bytes as this page computed it, in hexadecimal. */
  hash: string;
  /** Whether it is the one that the service names: only then may the card be accepted. */
  same: boolean;
}

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** Reads the card out of the bytes that are hashed, and hashes them here. */
export async function open(offer: Pick<Offer, "card" | "cardSha256">): Promise<Shown> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(offer.card)));
  return { card: fromBinary(CardSchema, offer.card), hash: hex(digest), same: hex(digest) === hex(offer.cardSha256) };
}

/** Fields that stay when some optional ones are left out: required ones always stay. */
export function granted(card: Pick<Card, "fields">, left: ReadonlySet<string>): string[] {
  return card.fields.filter((f) => f.required || !left.has(f.id)).map((f) => f.id);
}

/**
 * What the person gets of a slot, net of everything, in millionths, when some optional fields are left out. Each field's part is rounded on
 * the card, so with several left out this may differ by a millionth for each; the answer to the acceptance says the exact amount.
 */
export function netOf(card: Pick<Card, "net" | "fields">, left: ReadonlySet<string>): bigint {
  let net = card.net?.micros ?? 0n;
  for (const f of card.fields) if (!f.required && left.has(f.id)) net -= f.net?.micros ?? 0n;
  return net < 0n ? 0n : net;
}

/** What the person gets of a slot of an agreement, rounded as the ledger rounds, in millionths. */
export function netAgreed(l: Pick<Licence, "unitPrice" | "commissionPpm" | "withholdingPpm">): bigint {
  const price = l.unitPrice?.micros ?? 0n;
  const left = price - (price * BigInt(l.commissionPpm)) / 1_000_000n;
  return left - (left * BigInt(l.withholdingPpm)) / 1_000_000n;
}

/** What became of an offer. Only an open one asks anything, only an agreement that lives pays for anything to come. */
export type Standing = "open" | "waiting" | "living" | "declined" | "void" | "withdrawn" | "ended" | "finished";

/** Where an offer stands, by its own word and by that of the consent that answers it: consent knows of a withdrawal first. */
export function standing(offer: OfferState, consent: ConsentState | undefined): Standing {
  if (offer === OfferState.DECLINED) return "declined";
  if (consent === ConsentState.WITHDRAWN) return "withdrawn"; // whatever that has come to
  if (offer === OfferState.VOIDED || consent === ConsentState.REFUSED) return "void";
  if (consent === ConsentState.EXPIRED) return "ended";
  if (offer === OfferState.FINISHED) return "finished";
  if (offer === OfferState.AGREED || consent !== undefined) return "living";
  return offer === OfferState.ACCEPTED ? "waiting" : "open";
}

/** The most that could come of it: net of a slot, times the slots that can be paid at most, in millionths. */
export function most(net: bigint, card: Pick<Card, "maxSlots">): bigint {
  return net * BigInt(card.maxSlots);
}

export type Place = "below" | "lower" | "upper" | "above";

/** Where a price stands among quartiles of settled ones. */
export function place(gross: bigint, range: { lower: bigint; median: bigint; upper: bigint }): Place {
  if (gross < range.lower) return "below";
  if (gross < range.median) return "lower";
  return gross <= range.upper ? "upper" : "above";
}
