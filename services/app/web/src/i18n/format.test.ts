import { describe, expect, it } from "vitest";
import * as f from "./format";

const plain = (s: string) => s.replace(/[\u00a0\u202f]/g, " ");

describe("amounts", () => {
  it("keep every digit of an integer that no float holds", () => {
    expect(f.money("en", 9_007_199_254_740_993_01n, "EUR")).toBe("€9,007,199,254,740,993.01");
    expect(f.money("en", -5n, "EUR")).toBe("-€0.05");
  });
  it("follow the currency's own exponent", () => {
    expect(f.exponent("JPY")).toBe(0);
    expect(plain(f.money("en", 1234n, "JPY"))).toBe("¥1,234");
    expect(plain(f.money("fr", 123456n, "EUR"))).toBe("1 234,56 €");
  });
  it("show prices below a cent as they are", () => {
    expect(f.price("en", 12_500n, "EUR")).toBe("€0.0125");
    expect(f.price("en", 50_000n, "EUR")).toBe("€0.05");
    expect(plain(f.price("es", 1n, "EUR"))).toBe("0,000001 €");
  });
  it("write decimals from integers", () => {
    expect(f.decimal(-1234n, 2)).toBe("-12.34");
    expect(f.decimal(5n, 6)).toBe("0.000005");
    expect(f.decimal(7n, 0)).toBe("7");
  });
});

describe("what a person types", () => {
  it.each([
    ["en", "0.05", 50_000n],
    ["fr", "0,05", 50_000n],
    ["fr", "0.05", 50_000n],
    ["es", "1.234,5", 1_234_500_000n],
    ["en", "1,234.5", 1_234_500_000n],
    ["fr", "1 234,5", 1_234_500_000n],
    ["en", "3", 3_000_000n],
    ["en", "1.234", 1_234_000n],
    ["fr", "1,234", 1_234_000n],
    ["es", "0.064", 64_000n],
    ["en", "1,234,567", 1_234_567_000_000n],
    ["en", "1 234", 1_234_000_000n],
  ])("is read in %s: %s", (locale, text, want) => expect(f.micros(locale, text)).toBe(want));
  it.each(["", "-1", "abc", "1.2.3", "0.0000001", "1e3", "0,05", "1,00", "1,0000", ",500", "1,,000", "1.5,000"])("is refused: %s", (text) => expect(f.micros("en", text)).toBeUndefined());
  it.each([
    ["en", "0,064", ["0.064"]],
    ["en", "0,05", ["0.05"]],
    ["en", "1,234", ["1234", "1.234"]],
    ["es", "1.234", ["1234", "1,234"]],
    ["fr", "12.500", ["12500", "12,500"]],
    ["en", "0 064", []],
    ["en", "01,234", ["01.234"]],
    ["en", "abc", []],
    ["en", "1.50", []],
  ] as const)("is not guessed in %s: %s may be meant as %s", (locale, text, want) => {
    expect(f.ways(locale, text)).toEqual(want);
    if (want.length > 0) expect(f.micros(locale, text)).toBeUndefined();
    for (const way of want) expect(f.micros(locale, way)).toBeDefined();
  });
  it.each([
    ["en", "es", "1.234", "1,234"],
    ["es", "en", "0,0640", "0.0640"],
    ["en", "fr", "12,345.6", "12345,6"],
    ["en", "fr", "7", "7"],
    ["en", "fr", "1,234", "1,234"],
    ["en", "fr", "", ""],
  ])("stays the same number from %s to %s: %s is %s", (from, to, text, want) => expect(f.retyped(from, to, text)).toBe(want));
});

describe("time", () => {
  it("shows a measurement's day as the day it is", () => {
    expect(f.day("en-GB", "2016-04-12")).toBe("12 Apr 2016");
    // How wide the dash stands is the runtime's to say.
    expect(f.days("en-GB", "2016-04-12", "2016-04-15")).toMatch(/^12\s?–\s?15 Apr 2016$/);
    expect(f.day("en", "no day")).toBe("no day");
  });
  it("says how long ago", () => {
    const now = 1_700_000_000_000;
    const at = (s: number) => BigInt(now + s * 1000) * 1000n;
    expect(f.ago("en", at(-30), now)).toBe("now");
    expect(f.ago("en", at(-7200), now)).toBe("2 hours ago");
    expect(f.ago("fr", at(86_400), now)).toBe("demain");
    expect(f.ago("en-GB", at(-30 * 86_400), now)).toBe("15 Oct 2023");
  });
  it("groups and names months", () => expect([f.month("fr", "2026-04"), f.month("fr", "nonsense")]).toEqual(["avril 2026", "nonsense"]));
});

it("writes bytes in the unit that fits", () => {
  expect(plain(f.bytes("en", 999))).toBe("999 byte");
  expect(plain(f.bytes("en", 1_250_000))).toBe("1.3 MB");
});
