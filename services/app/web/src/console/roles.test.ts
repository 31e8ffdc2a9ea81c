import { describe, expect, it } from "vitest";
import { roomAt, roomsOf } from "./roles";

describe("rooms of the console", () => {
  it("open by role, and the first is where one comes in", () => {
    expect(roomsOf(["subscriber"])).toEqual([]);
    expect(roomAt("/", ["buyer"])?.href).toBe("/console/bids");
    expect(roomAt("/console", ["buyer"])?.href).toBe("/console/bids");
    expect(roomAt("/console/bids/new", ["buyer"])?.href).toBe("/console/bids");
    expect(roomAt("/", ["finance"])?.href).toBe("/console/balance");
    expect(roomAt("/console", ["operator"])?.href).toBe("/console/buyers");
    expect(roomsOf(["finance", "operator"])).toEqual(roomsOf(["auditor"]));
  });

  it("stay shut for others, and names that only begin alike are none", () => {
    expect(roomAt("/console/bids", ["finance"])).toBeUndefined();
    expect(roomAt("/console/bidsx", ["buyer"])).toBeUndefined();
    expect(roomAt("/console/bids", ["subscriber"])).toBeUndefined();
  });
});
