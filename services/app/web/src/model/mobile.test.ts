import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { HourSchema, PlaceSchema } from "../gen/obole/delivery/v1/service_pb";
import { atlas, byHour, byWeek, depth, isMobile, letter, peak, round, volume } from "./mobile";

const place = (cell: string, points: number, latitude?: number, longitude?: number) =>
  create(PlaceSchema, { cell, points, ...(latitude === undefined || longitude === undefined ? {} : { spot: { latitude, longitude } }) });

describe("a map of places", () => {
  it("has north up, east to the right, and the same scale both ways", () => {
    // Boston: a hundredth of a degree north is 1112 m, of longitude 822 m.
    const map = atlas([place("a", 4, 42_360_000, -71_090_000), place("b", 1, 42_370_000, -71_090_000), place("c", 1, 42_360_000, -71_080_000)], false);
    const [a, b, c] = map?.pins ?? [];
    if (!map || !a || !b || !c) throw new Error("three places are three pins");
    expect(b.x).toBeCloseTo(a.x);
    expect(b.y).toBeLessThan(a.y);
    expect(c.y).toBeCloseTo(a.y);
    expect(c.x).toBeGreaterThan(a.x);
    expect((c.x - a.x) / (a.y - b.y)).toBeCloseTo(Math.cos((42.365 * Math.PI) / 180), 3);
    expect((a.y - b.y) / map.unit).toBeCloseTo(1.11195 / map.step, 3);
    // The area is the weight.
    expect(a.r / b.r).toBeCloseTo(2);
    for (const p of map.pins) expect(p.x >= 0 && p.x <= map.width && p.y >= 0 && p.y <= map.height && !p.outside).toBe(true);
  });

  it("stays close to where most happens, and says what lies outside", () => {
    const far = [place("home", 50, 42_360_000, -71_090_000), place("work", 46, 42_370_000, -71_080_000), place("trip", 4, 43_370_000, -71_085_000)];
    const close = atlas(far, true);
    const all = atlas(far, false);
    expect(close?.pins.map((p) => p.outside)).toEqual([false, false, true]);
    expect(all?.pins.map((p) => p.outside)).toEqual([false, false, false]);
    const trip = close?.pins[2];
    expect(trip && trip.y < 20 && trip.r === 5).toBe(true);
    const apart = (m: typeof close) => Math.hypot((m?.pins[0]?.x ?? 0) - (m?.pins[1]?.x ?? 0), (m?.pins[0]?.y ?? 0) - (m?.pins[1]?.y ?? 0));
    expect(apart(close)).toBeGreaterThan(20 * apart(all));
  });

  it("has nothing to draw where no cell has a place, and draws one alone in the middle", () => {
    expect(atlas([place("a", 4)], true)).toBeUndefined();
    const one = atlas([place("a", 4, 0, 0), place("b", 4)], true);
    expect(one?.pins.map((p) => [p.place.cell, p.x, p.y])).toEqual([["a", 360, 240]]);
  });

  it("goes the short way round where the date changes", () => {
    const map = atlas([place("west", 2, 0, 179_990_000), place("east", 1, 0, -179_990_000)], false);
    expect((map?.pins[1]?.x ?? 0) - (map?.pins[0]?.x ?? 0)).toBeGreaterThan(0);
    expect(map?.step).toBeLessThan(2);
  });

  it("names its places by letters", () => {
    expect([0, 25, 26, -1].map(letter)).toEqual(["A", "Z", "", ""]);
  });

  it("has a grid of round kilometres", () => {
    expect([0.13, 0.3, 1, 4.9, 5, 78].map(round)).toEqual([0.1, 0.2, 1, 2, 5, 50]);
  });
});

describe("hours", () => {
  const hours = [create(HourSchema, { weekday: 1, hour: 7, points: 2, sum: 3000n }), create(HourSchema, { weekday: 7, hour: 7, points: 1, sum: 500n }), create(HourSchema, { weekday: 7, hour: 23, points: 1, sum: 1n })];
  it("add up to a day and to a week", () => {
    const day = byHour(hours);
    expect(day).toHaveLength(24);
    expect([day[7], day[23], day[0]]).toEqual([{ sum: 3500, points: 3 }, { sum: 1, points: 1 }, { sum: 0, points: 0 }]);
    const week = byWeek(hours);
    expect([week[0]?.[7], week[6]?.[7], week[6]?.[23], week.flat().reduce((a, b) => a + b, 0)]).toEqual([3000, 500, 1, 3501]);
  });
  it("have a greatest, or none", () => {
    expect(peak([0, 3, 7, 7])).toBe(2);
    expect(peak([0, 0])).toBe(-1);
    expect(peak([])).toBe(-1);
  });
  it("are drawn in five depths", () => {
    expect([0, 1, 300, 600, 1000].map((v) => depth(v, 1000))).toEqual([0, 1, 3, 4, 4]);
    expect(depth(5, 0)).toBe(0);
  });
});

describe("mobile data", () => {
  it("is told from everything else by its schema", () => {
    expect(["obole:data-use:1.0", "obole:cell-visit:1.0", "omh:step-count:3.0"].map(isMobile)).toEqual([true, true, false]);
  });
  it("is written in the unit that reads well", () => {
    expect(volume(8_744_870)).toEqual({ value: 8744.87 / 1024, unit: "GiB", digits: 1 });
    expect(volume(15_442).unit).toBe("MiB");
    expect([volume(15_442).digits, volume(400).digits]).toEqual([0, 1]);
  });
});
