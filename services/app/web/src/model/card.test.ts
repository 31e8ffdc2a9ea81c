import { create, toBinary } from "@bufbuild/protobuf";
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { ConsentState as Consent } from "../gen/obole/consent/v1/service_pb";
import { CardSchema, OfferState as State } from "../gen/obole/offers/v1/service_pb";
import { granted, hex, most, netAgreed, netOf, open, place, standing } from "./card";

const price = (micros: bigint) => ({ micros, currency: "EUR" });
const card = create(CardSchema, {
  bidId: "b",
  buyerName: "A sleep study",
  net: price(40_000n),
  maxSlots: 30,
  fields: [
    { id: "date", required: true },
    { id: "steps", required: true },
    { id: "distance", net: price(4_000n) },
    { id: "energy", net: price(8_000n) },
  ],
});

describe("the price follows the chosen fields", () => {
  it("with all, some and none of the optional ones", () => {
    expect(netOf(card, new Set())).toBe(40_000n);
    expect(netOf(card, new Set(["energy"]))).toBe(32_000n);
    expect(netOf(card, new Set(["energy", "distance"]))).toBe(28_000n);
  });
  it("never for a required one, which cannot be left out", () => {
    expect(netOf(card, new Set(["steps"]))).toBe(40_000n);
    expect(granted(card, new Set(["steps", "energy"]))).toEqual(["date", "steps", "distance"]);
  });
  it("never below zero", () => expect(netOf(create(CardSchema, { net: price(1n), fields: [{ id: "a", net: price(5n) }] }), new Set(["a"]))).toBe(0n));
  it("to the millionth as the ledger rounds, once it is agreed", () => {
    expect(netAgreed({ unitPrice: { micros: 50_001n, currency: "EUR" } as never, commissionPpm: 200_000, withholdingPpm: 300_000 })).toBe(28_001n);
  });
  it("times the slots that can be paid", () => expect(most(32_000n, card)).toBe(960_000n));
});

describe("the card that is shown is the one that is hashed", () => {
  const bytes = toBinary(CardSchema, card);
  const hash = new Uint8Array(createHash("sha256").update(bytes).digest());
  it("when the hash is that of its bytes", async () => {
    const shown = await open({ card: bytes, cardSha256: hash });
    expect(shown.same).toBe(true);
    expect(shown.hash).toBe(hex(hash));
    expect(shown.card.buyerName).toBe("A sleep study");
  });
  it("and is told when it is another", async () => {
    const other = toBinary(CardSchema, create(CardSchema, { bidId: "b", buyerName: "Somebody else" }));
    expect((await open({ card: other, cardSha256: hash })).same).toBe(false);
  });
});

it("says where a price stands among quartiles", () => {
  const range = { lower: 20n, median: 30n, upper: 40n };
  expect([10n, 20n, 29n, 30n, 40n, 41n].map((p) => place(p, range))).toEqual(["below", "lower", "lower", "upper", "upper", "above"]);
});

it.each([
  [State.PRESENTED, undefined, "open"],
  [State.ACCEPTED, undefined, "waiting"],
  [State.ACCEPTED, Consent.GIVEN, "living"],
  [State.AGREED, undefined, "living"],
  [State.AGREED, Consent.PAUSED, "living"],
  [State.AGREED, Consent.WITHDRAWN, "withdrawn"],
  [State.FINISHED, Consent.WITHDRAWN, "withdrawn"],
  [State.FINISHED, Consent.EXPIRED, "ended"],
  [State.FINISHED, Consent.GIVEN, "finished"],
  [State.ACCEPTED, Consent.REFUSED, "void"],
  [State.VOIDED, undefined, "void"],
  [State.VOIDED, Consent.WITHDRAWN, "withdrawn"],
  [State.DECLINED, undefined, "declined"],
] as const)("an offer that is %s, with a consent that is %s, is %s", (offer, consent, want) => expect(standing(offer, consent)).toBe(want));
