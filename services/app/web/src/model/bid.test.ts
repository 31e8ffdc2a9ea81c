import { describe, expect, it } from "vitest";
import { Cadence } from "../gen/obole/market/v1/market_pb";
import { partOf, readBid, recipientOf, used, type BidDraft } from "./bid";

const buyer = "6f6a3f4e-0d3b-4f58-9a54-3c6d2e1b7a90";

const known = { cohortMin: 5, today: "2026-11-27" };
const read = (locale: string, d: BidDraft) => readBid(locale, buyer, "EUR", d, known);

const draft = (change: Partial<BidDraft> = {}): BidDraft => ({
  product: "daily-steps",
  version: "1",
  purpose: "https://w3id.org/dpv#AcademicResearch",
  price: "0,25",
  quantity: "1 500",
  cohort: "",
  most: "30",
  first: "2026-11-01",
  last: "2026-11-30",
  cadence: "WEEKLY",
  opens: "",
  closes: "2026-12-31",
  retention: "365",
  assurance: "UNSPECIFIED",
  transfer: "UNSPECIFIED",
  automated: false,
  training: true,
  fields: [
    { id: "steps", asked: true, rung: "hundred", required: true, share: "" },
    { id: "distance", asked: true, rung: "hundred", required: false, share: "12,5" },
    { id: "energy", asked: false, rung: "hundred", required: false, share: "nonsense" },
  ],
  conditions: [
    { fact: "sleep_per_night", bands: [] },
    { fact: "steps_per_day", bands: ["5000_9999", "10000_up"] },
  ],
  recipients: [{ name: " A laboratory ", country: "be", purpose: "To analyse it" }],
  ...change,
});

describe("a bid that is typed", () => {
  it("is read with every digit", () => {
    const { bid, wrong } = read("fr-FR", draft());
    expect(wrong).toEqual({});
    expect(bid?.buyerId).toBe(buyer);
    expect(bid?.quantity).toBe(1500);
    expect(bid?.cohortMin).toBe(0);
    expect(bid?.terms?.unitPrice).toMatchObject({ micros: 250_000n, currency: "EUR" });
    expect(bid?.terms?.cadence).toBe(Cadence.WEEKLY);
    expect(bid?.terms?.aiTraining).toBe(true);
    expect(bid?.terms?.fields.map((f) => [f.id, f.required, f.sharePpm])).toEqual([
      ["steps", true, 0],
      ["distance", false, 125_000],
    ]);
    // The chosen day is the last one.
    expect(bid?.closesAt).toBe(BigInt(Date.UTC(2027, 0, 1)) * 1000n);
    expect(bid?.opensAt).toBe(0n);
    // A fact of which nothing is chosen restricts nobody.
    expect(bid?.terms?.predicates.map((p) => [p.fact, p.bands])).toEqual([["steps_per_day", ["5000_9999", "10000_up"]]]);
    expect(bid?.terms?.recipients.map((r) => [r.legalName, r.country, r.purpose])).toEqual([["A laboratory", "BE", "To analyse it"]]);
  });

  it("names each part that cannot be read", () => {
    const { bid, wrong } = read("en-IE", draft({ price: "0", quantity: "0", cohort: "x", most: "367", first: "2026-12-01", closes: "", retention: "3651", purpose: "" }));
    expect(bid).toBeUndefined();
    expect(wrong).toEqual({ price: "price", quantity: "number", cohort: "number", most: "number", last: "order", closes: "day", retention: "number", purpose: "none", fields: "share" });
  });

  it("wants a required field, and shares that leave something for it", () => {
    const field = (required: boolean, share: string) => ({ id: "steps", asked: true, rung: "exact", required, share });
    expect(read("fr-BE", draft({ fields: [field(false, "10")] })).wrong).toEqual({ fields: "required" });
    expect(read("fr-BE", draft({ fields: [field(true, ""), field(false, "60"), field(false, "40")] })).wrong).toEqual({ fields: "shares" });
    expect(read("fr-BE", draft({ fields: [field(true, ""), field(false, "60"), field(false, "39.9999")] })).wrong).toEqual({});
    expect(read("fr-BE", draft({ fields: [field(true, ""), field(false, "0.00001")] })).wrong).toEqual({ fields: "share" });
    expect([...read("fr-BE", draft({ fields: [field(true, ""), { ...field(false, "x"), id: "energy" }] })).shares]).toEqual(["energy"]);
  });
});

describe("whoever else receives it", () => {
  const recipient = { name: "A laboratory", country: "BE", purpose: "To analyse it" };
  const to = (recipients: BidDraft["recipients"]) => read("en-IE", draft({ price: "1", recipients, fields: [{ id: "steps", asked: true, rung: "exact", required: true, share: "" }] }));
  it("is named by what of it cannot be read", () => {
    const r = to([recipient, { name: " ", country: "Belgium", purpose: "x".repeat(501) }]);
    expect(r.bid).toBeUndefined();
    expect(r.wrong).toEqual({ recipients: "recipient" });
    expect(r.recipients).toEqual([{}, { name: "name", country: "country", purpose: "use" }]);
  });
  it("may be nobody, or eight, and a name as long as the contract takes", () => {
    expect(to([]).bid?.terms?.recipients).toEqual([]);
    expect(to(Array.from({ length: 8 }, () => ({ ...recipient, name: "é".repeat(200) }))).wrong).toEqual({});
    expect(to(Array.from({ length: 9 }, () => recipient)).wrong).toEqual({ recipients: "recipients" });
    expect(to([{ ...recipient, name: "é".repeat(201) }]).recipients).toEqual([{ name: "name" }]);
  });
});

describe("conditions and days", () => {
  const plain = { price: "1", fields: [{ id: "steps", asked: true, rung: "exact", required: true, share: "" }] };
  it("are three at most", () => {
    const conditions = ["a", "b", "c", "d"].map((fact) => ({ fact, bands: ["x"] }));
    expect(read("en-IE", draft({ ...plain, conditions })).wrong).toEqual({ conditions: "conditions" });
    expect(read("en-IE", draft({ ...plain, conditions: conditions.slice(0, 3) })).wrong).toEqual({});
  });
  it("hold the contract's bounds", () => {
    const wrong = (change: Partial<BidDraft>) => read("en-IE", draft({ ...plain, ...change })).wrong;
    expect(wrong({ last: "" })).toEqual({ last: "day" });
    expect(wrong({ first: "" })).toEqual({ first: "day" });
    expect(wrong({ last: "2027-11-02" })).toEqual({});
    expect(wrong({ last: "2027-11-03" })).toEqual({ last: "span" });
    expect(wrong({ closes: "2026-11-26" })).toEqual({ closes: "past" });
    expect(wrong({ closes: "2026-11-27" })).toEqual({});
    expect(wrong({ closes: "2027-11-27" })).toEqual({});
    expect(wrong({ closes: "2027-11-28" })).toEqual({ closes: "far" });
    expect(wrong({ cohort: "4" })).toEqual({ cohort: "number" });
    expect(wrong({ cohort: "5" })).toEqual({});
  });
  it("open no later than they close", () => {
    expect(read("en-IE", draft({ ...plain, opens: "2027-01-01" })).wrong).toEqual({ opens: "opens" });
    expect(read("en-IE", draft({ ...plain, opens: "soon" })).wrong).toEqual({ opens: "day" });
    expect(read("en-IE", draft({ ...plain, opens: "2026-12-31" })).bid?.opensAt).toBe(BigInt(Date.UTC(2026, 11, 31)) * 1000n);
  });
});

describe("a refusal", () => {
  it("belongs to the part of the form that it names", () => {
    expect(partOf("bid.terms.unit_price.micros")).toBe("price");
    expect(partOf("bid.terms.slots.last")).toBe("last");
    expect(partOf("bid.terms.slots.first")).toBe("first");
    expect(partOf("bid.terms.fields[2].rung")).toBe("fields");
    expect(partOf("bid.cohort_min")).toBe("cohort");
    expect(partOf("bid.terms.recipients[0].country")).toBe("recipients");
    expect(partOf("bid.terms.predicates[1].bands")).toBe("conditions");
    expect(partOf("bid.opens_at")).toBe("opens");
    expect(partOf("bid.pricing")).toBe("other");
    expect(recipientOf("bid.terms.recipients[2].legal_name")).toEqual({ at: 2, field: "name" });
    expect(recipientOf("bid.terms.recipients")).toBeUndefined();
    expect(partOf("bid.quantity_of_something")).toBe("other");
  });
});

describe("a budget", () => {
  it("is used in millionths, between nothing and all", () => {
    expect(used(1n, 3n)).toBe(333_333);
    expect(used(0n, 0n)).toBe(0);
    expect(used(5n, 3n)).toBe(1_000_000);
  });
});
