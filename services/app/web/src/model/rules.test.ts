import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RulesSchema } from "../gen/obole/consent/v1/events_pb";
import { draftOf, fieldsOf, rebase, sameRules, wantedOf, type Draft } from "./rules";

const en = "en-IE";
const base = create(RulesSchema, { floors: [{ product: "steps", micros: 50_000n, currency: "EUR" }], purposesNever: ["a", "b"], maxAgreements: 3 });
const products = ["steps", "sleep"];
const change = (to: object) => create(RulesSchema, { ...fieldsOf(base), ...to });
const typed = (to: Partial<Draft>): Draft => ({ ...draftOf(en, base), ...to });
const over = (mine: Draft, theirs = base) => {
  const { draft, both } = rebase(en, mine, base, theirs);
  return { rules: wantedOf(en, draft, products), draft, both };
};
const nothing = { floors: [], matching: false, limit: false };

describe("rules that are changed here while they are changed elsewhere", () => {
  it("are those from elsewhere, where nothing was touched here", () => {
    const theirs = change({ floors: [{ product: "sleep", micros: 1n, currency: "EUR" }], matching: true, purposesNever: ["c"], maxAgreements: 9 });
    const merged = over(typed({}), theirs);
    expect(sameRules(merged.rules, theirs)).toBe(true);
    expect(merged.both).toEqual(nothing);
  });
  it("keep what was typed, and take in what was not touched", () => {
    const mine = typed({ floors: { steps: "0.07", sleep: "many" }, rules: change({ purposesNever: ["a", "d"] }) });
    const merged = over(mine, change({ purposesNever: ["b", "a", "c"], maxAgreements: 9 }));
    expect(merged.draft.floors).toEqual({ steps: "0.07", sleep: "many" });
    expect(merged.rules.purposesNever).toEqual(["a", "c", "d"]);
    expect(merged.rules.maxAgreements).toBe(9);
    expect(merged.both).toEqual(nothing);
  });
  it("say what both have changed, and leave it to the person", () => {
    const mine = typed({ floors: { steps: "0.07" }, limit: "5", rules: change({ matching: true }) });
    const theirs = change({ floors: [{ product: "steps", micros: 90_000n, currency: "EUR" }], matching: true, matchingHealth: true, maxAgreements: 4 });
    const merged = over(mine, theirs);
    expect(merged.draft.floors.steps).toBe("0.07");
    expect(merged.rules).toMatchObject({ maxAgreements: 5, matching: true, matchingHealth: false });
    expect(merged.both).toEqual({ floors: ["steps"], matching: true, limit: true });
  });
  it("keep the floors of what is no longer listed", () => {
    const theirs = change({ floors: [{ product: "gone", micros: 7n, currency: "EUR" }, ...base.floors] });
    expect(over(typed({}), theirs).rules.floors.map((f) => [f.product, f.micros])).toEqual([["gone", 7n], ["steps", 50_000n]]);
  });
  it("are in no conflict where both say the same", () => {
    const theirs = change({ floors: [{ product: "steps", micros: 70_000n, currency: "EUR" }], maxAgreements: 5 });
    expect(over(typed({ floors: { steps: "0.070" }, limit: "5" }), theirs).both).toEqual(nothing);
  });
  it("are the same in another order", () => {
    expect(sameRules(base, change({ purposesNever: ["b", "a"] }))).toBe(true);
    expect(sameRules(base, change({ purposesNever: ["b"] }))).toBe(false);
  });
});
