import { describe, expect, it } from "vitest";
import { readPoint, withValue, written } from "./point";

const bytes = (v: unknown) => new TextEncoder().encode(JSON.stringify(v));
const frame = { time_interval: { start_date_time: "2016-04-12T22:30:00-05:00", end_date_time: "2016-04-13T06:00:00-05:00" } };
const slept = bytes({ header: { uuid: "a", modality: "sensed" }, body: { total_sleep_time: { value: 19620, unit: "sec" }, effective_time_frame: frame } });
const woke = bytes({ header: { uuid: "b", modality: "self-reported" }, body: { number_of_awakenings: 3, effective_time_frame: { date_time: "2016-04-12T07:00:00Z" } } });

describe("a point", () => {
  it("says what it says in the unit in which people say it", () => {
    expect(readPoint(slept, "total_sleep_time")).toEqual({ id: "a", value: 327, unit: "min", from: "2016-04-12T22:30", stated: false });
    expect(readPoint(woke, "number_of_awakenings")).toEqual({ id: "b", value: 3, unit: "", from: "2016-04-12T07:00", stated: true });
    expect(readPoint(woke, "heart_rate")).toBeUndefined();
  });
  it("is corrected in its own unit, and in nothing else", () => {
    const before: unknown = JSON.parse(new TextDecoder().decode(slept));
    const after: unknown = JSON.parse(new TextDecoder().decode(withValue(slept, "total_sleep_time", 400)));
    expect(after).toEqual({ ...(before as object), body: { total_sleep_time: { value: 24000, unit: "sec" }, effective_time_frame: frame } });
    expect(readPoint(withValue(woke, "number_of_awakenings", 5), "number_of_awakenings")?.value).toBe(5);
  });
  it("takes numbers as people write them", () => {
    const typed = ["70,5", "70.5", "12,000", "12 000", " 7 ", "7e3", "-1", "", "1.2.3"];
    expect(typed.map((text) => written("en-IE", text))).toEqual([undefined, 70.5, undefined, 12000, 7, undefined, undefined, undefined, undefined]);
    expect(typed.map((text) => written("fr-BE", text))).toEqual([70.5, 70.5, 12, 12000, 7, undefined, undefined, undefined, undefined]);
  });
});
