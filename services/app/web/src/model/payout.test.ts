import { describe, expect, it } from "vitest";
import { asked } from "./payout";

describe("what is asked for", () => {
  it("is at most what is available, and something", () => {
    expect(asked("en-IE", "2.50", 250n, "EUR")).toBe(250n);
    expect(asked("fr-BE", "2,5", 250n, "EUR")).toBe(250n);
    expect(asked("en-IE", "2.51", 250n, "EUR")).toBeUndefined();
    expect(asked("en-IE", "0", 250n, "EUR")).toBeUndefined();
    expect(asked("en-IE", "-1", 250n, "EUR")).toBeUndefined();
    expect(asked("en-IE", "", 250n, "EUR")).toBeUndefined();
  });
  it("is no finer than the currency", () => {
    expect(asked("en-IE", "0.005", 250n, "EUR")).toBeUndefined();
    expect(asked("en-IE", "0.010", 250n, "EUR")).toBe(1n);
    expect(asked("en-IE", "3", 250n, "JPY")).toBe(3n);
    expect(asked("en-IE", "0.5", 250n, "JPY")).toBeUndefined();
  });
});
