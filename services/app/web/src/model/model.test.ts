import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ConsentSchema } from "../gen/obole/consent/v1/service_pb";
import { BucketSchema, UseSchema } from "../gen/obole/delivery/v1/service_pb";
import { EntrySchema, type Entry } from "../gen/obole/record/v1/record_pb";
import { decodePolicy } from "../net/session";
import { join } from "../ui/paged";
import { visible } from "../ui/window";
import { guess } from "./importer";
import { entryId, merge, placeOf } from "./history";
import { changed, letters, newestOf } from "./inbox";
import { readRows } from "./rows";
import { bucketsFor, grid, isoDay, look, quantity, shiftDay, smooth, trend } from "./series";

const entry = (service: string, position: number, at: number, more: Partial<Entry> = {}) =>
  create(EntrySchema, { at: BigInt(at), place: { service, partition: 0, position: BigInt(position) }, type: "consent_given", ...(more as object) });

describe("the histories as one", () => {
  const a = [entry("consent", 9, 90), entry("consent", 5, 50)];
  const b = [entry("delivery", 8, 80), entry("delivery", 7, 70)];
  it("shows only what is certain to stand in its place", () => {
    const m = merge([
      { entries: a, more: true },
      { entries: b, more: true },
    ]);
    expect(m.entries.map(entryId)).toEqual(["consent/0/9", "delivery/0/8", "delivery/0/7"]);
    expect(m.next).toBe(1);
  });
  it("shows everything once all are whole", () => {
    const m = merge([
      { entries: a, more: false },
      { entries: b, more: false },
    ]);
    expect(m.entries.map((e) => Number(e.at))).toEqual([90, 80, 70, 50]);
    expect(m.next).toBe(-1);
  });
  it("keeps an order among those of one moment", () => {
    const same = [entry("settlement", 1, 5), entry("consent", 2, 5), entry("consent", 3, 5)];
    expect(merge([{ entries: same, more: false }]).entries.map(entryId)).toEqual(["consent/0/3", "consent/0/2", "settlement/0/1"]);
  });
});

it.each([
  ["position=7", { partition: 0, position: 7n }],
  ["partition=3&position=900719925474099267", { partition: 3, position: 900719925474099267n }],
  ["position=abc", undefined],
  ["position=0", undefined],
  ["position=-1", undefined],
  ["position=1e3", undefined],
  ["partition=x&position=1", undefined],
  ["", undefined],
] as const)("the place that an address names: %s", (query, want) => expect(placeOf(new URLSearchParams(query))).toEqual(want));

describe("the inbox", () => {
  const ordered = (agreementId: string, due: number, deliveryId = "") => create(UseSchema, { agreementId, deliveryId, deletion: { due: BigInt(due) } });
  it("tells of each agreement once whose data had to be deleted, the newest first, whatever else has happened", () => {
    const many = Array.from({ length: 300 }, (_, i) => entry("settlement", i + 1, 1000 + i, { type: "delivery_settled" }));
    const told = letters(many, [], [ordered("a", 50, "1"), ordered("c", 60), ordered("a", 50, "2")]);
    expect(told.slice(0, 3).map((l) => [l.kind, "use" in l ? l.use.agreementId : ""])).toEqual([["overdue", "c"], ["overdue", "a"], ["paid", ""]]);
  });
  it("puts what will end before what has happened, soonest first, and leaves out the rest", () => {
    const ending = [300n, 200n].map((expiresAt) => create(ConsentSchema, { record: { licence: { expiresAt } } }));
    const told = letters([entry("delivery", 1, 1, { type: "delivery_released" }), entry("settlement", 1, 2, { type: "delivery_settled" }), entry("settlement", 2, 3, { type: "payout_settled" }), entry("settlement", 3, 4, { type: "payout_returned" }), entry("settlement", 4, 5, { type: "payout_requested" }), entry("consent", 1, 3)], ending, []);
    expect(told.map((l) => [l.kind, Number(l.at)])).toEqual([
      ["ending", 200],
      ["ending", 300],
      ["returned", 4],
      ["credited", 3],
      ["paid", 2],
      ["delivered", 1],
    ]);
  });
});

describe("terms that have changed", () => {
  const made = (product: string, version: string, pack: string, policy: string) =>
    create(ConsentSchema, { record: { licence: { product: { id: product, version }, policy: { pack, version: policy } } } });
  const now = { products: newestOf([{ ref: { id: "steps", version: "9" } }, { ref: { id: "steps", version: "10" } }, { ref: { id: "sleep", version: "1" } }, {}]), policy: { pack: "BE", version: "3" } };
  it("are told of each agreement that was made by others", () => {
    const told = changed([made("steps", "9", "BE", "3"), made("steps", "10", "BE", "2"), made("sleep", "1", "BE", "3"), made("gone", "1", "ES", "1")], now);
    expect(told.map((l) => (l.kind === "terms" || l.kind === "rules" ? [l.kind, l.was, l.is] : []))).toEqual([
      ["terms", "9", "10"],
      ["rules", "2", "3"],
    ]);
    expect(letters([entry("delivery", 1, 1, { type: "delivery_released" })], [], [], told).map((l) => l.kind)).toEqual(["terms", "rules", "delivered"]);
  });
  it("are none where nothing is known of what is in force", () => {
    expect(changed([made("steps", "9", "BE", "3")], { products: new Map(), policy: undefined })).toEqual([]);
  });
});

describe("each kind of letter", () => {
  it("has the event that it is made of", () => {
    const kinds = (type: string) => letters([entry("delivery", 1, 10, { type, due: 5n })], [], []).map((l) => l.kind);
    expect(["delivery_released", "delivery_settled", "earnings_matured", "consent_expired", "offer_voided", "delivery_blocked"].map(kinds)).toEqual([
      ["delivered"], ["paid"], ["available"], ["ended"], ["voided"], ["blocked"],
    ]);
    expect(kinds("consent_given")).toEqual([]);
  });
});

const day = 86_400_000_000n;
const bucket = (n: number, mean: number) => create(BucketSchema, { from: BigInt(n) * day, points: 1, mean: BigInt(mean), sum: BigInt(mean) * 2n, least: BigInt(mean), most: BigInt(mean) });

it("says of several days what one of those that were measured had", () => {
  const week = { sum: 70_000n, mean: 500n, days: 5 };
  expect(quantity(week, true)).toBe(14_000);
  expect(quantity(week, false)).toBe(500);
  expect(quantity({ sum: 9n, mean: 3n, days: 1 }, true)).toBe(9);
});

describe("a series", () => {
  it("has a gap where nothing was measured", () => {
    const g = grid({ buckets: [bucket(0, 5), bucket(3, 7)], width: day, addsUp: false });
    expect(g.value).toEqual([5, null, null, 7]);
    expect(g.x).toEqual([0, 86_400, 172_800, 259_200]);
  });
  it("sums what adds up", () => expect(grid({ buckets: [bucket(0, 5)], width: day, addsUp: true }).value).toEqual([10]));
  it("is compared with the person's own weeks before", () => {
    const buckets = [...Array.from({ length: 28 }, (_, i) => bucket(i, 100)), ...Array.from({ length: 7 }, (_, i) => bucket(28 + i, 150))];
    expect(trend({ buckets, width: day, addsUp: false })).toEqual({ recent: 150, before: 100, recentDays: 7, beforeDays: 28 });
    expect(trend({ buckets: buckets.slice(-8), width: day, addsUp: false })).toBeUndefined();
    expect(trend({ buckets, width: day / 24n, addsUp: false })).toBeUndefined();
  });
  it("is smoothed over a week that was measured", () => expect(smooth([1, 2, 3, null, null])).toEqual([null, null, 2, 2, 2]));
  it("is asked for by the day, finer within two weeks", () => {
    expect(bucketsFor("2016-04-12", "2016-04-14")).toBe(400);
    expect(bucketsFor("2016-04-12", "2016-05-12")).toBe(31);
    expect(bucketsFor("2012-01-01", "2016-05-12")).toBe(400);
  });
  it("is looked at closer, wider, earlier and later, and never past its ends", () => {
    const whole = { first: "2016-04-01", last: "2016-04-30" };
    const at = { first: "2016-04-11", last: "2016-04-20" };
    expect(look(at, whole, "closer")).toEqual({ first: "2016-04-13", last: "2016-04-17" });
    expect(look(at, whole, "wider")).toEqual({ first: "2016-04-06", last: "2016-04-25" });
    expect(look({ first: "2016-04-06", last: "2016-04-25" }, whole, "wider")).toEqual(whole);
    expect(look(whole, whole, "wider")).toBeUndefined();
    expect(look(at, whole, "earlier")).toEqual({ first: "2016-04-06", last: "2016-04-15" });
    expect(look({ first: "2016-04-02", last: "2016-04-11" }, whole, "earlier")).toEqual({ first: "2016-04-01", last: "2016-04-10" });
    expect(look({ first: "2016-04-01", last: "2016-04-10" }, whole, "earlier")).toBeUndefined();
    expect(look({ first: "2016-04-19", last: "2016-04-28" }, whole, "later")).toEqual({ first: "2016-04-21", last: "2016-04-30" });
    expect(look({ first: "2016-04-30", last: "2016-04-30" }, whole, "closer")).toBeUndefined();
    expect(look({ first: "2016-04-10", last: "2016-04-10" }, whole, "earlier")).toEqual({ first: "2016-04-09", last: "2016-04-09" });
    expect(look({ first: "2016-04-29", last: "2016-04-30" }, whole, "wider")).toEqual({ first: "2016-04-27", last: "2016-04-30" });
  });
  it("counts days by its own clock", () => {
    expect(isoDay(1_460_419_200_000_000n)).toBe("2016-04-12");
    expect(shiftDay("2016-03-01", -1)).toBe("2016-02-29");
  });
});

it("reads the rows that would leave, and leaves out what is none", () => {
  const bytes = new TextEncoder().encode('{"person":"p1","date":"2016-04-12"}\nno row\n[1]\n{"person":"p1","steps":200}\n');
  expect(readRows(bytes)).toEqual({ columns: ["person", "date", "steps"], rows: [["p1", "2016-04-12", ""], ["p1", "", "200"]] });
});

describe("long lists", () => {
  it("draw what is seen and a little more", () => {
    expect(visible(10_000, 50, 0, 800)).toEqual({ from: 0, to: 24 });
    expect(visible(10_000, 50, 250_000, 800)).toEqual({ from: 4992, to: 5024 });
    expect(visible(10_000, 50, -5_000, 800)).toEqual({ from: 0, to: 8 }); // out of sight, and still to be come into
    expect(visible(10, 50, 5_000, 800)).toEqual({ from: 2, to: 10 });
    expect(visible(3, 50, 5_000, 800)).toEqual({ from: 0, to: 3 });
    expect(visible(0, 50, 0, 800)).toEqual({ from: 0, to: 0 });
  });
  it("put a fresh first page before what was known", () => {
    const id = (s: string) => s;
    expect(join(["n", "a", "b"], ["a", "b", "c", "d"], id)).toEqual(["n", "a", "b", "c", "d"]);
    expect(join(["x", "y"], ["a", "b", "c"], id)).toBeUndefined();
    expect(join(["a", "b"], ["a"], id)).toBeUndefined();
  });
});

it("guesses what kind of file it is", () => {
  expect(guess("dailyActivity_merged.CSV")).toBe("fitabase-csv");
  expect(guess("withings-measures.json")).toBe("withings-json");
  expect(guess("points.json")).toBe("points");
});

it("reads the privacy policy and leaves out blocks that it does not know", () => {
  const p = decodePolicy({ version: "2", sections: [{ id: "data", title: "Data", blocks: [{ text: "a" }, { list: ["b"] }, { head: ["h"], rows: [["c", 1]] }, { video: "x" }] }] });
  expect(p.sections[0]?.blocks.map((b) => b.kind)).toEqual(["text", "list", "table"]);
  expect(decodePolicy("nonsense").sections).toEqual([]);
});
