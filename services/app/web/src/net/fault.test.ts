import { Code, ConnectError } from "@connectrpc/connect";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { faultOf, faultOfBody, readDetails } from "./fault";

const pair = (a: string, b: string) => new BinaryWriter().tag(1, WireType.LengthDelimited).string(a).tag(2, WireType.LengthDelimited).string(b).finish();
const errorInfo = new BinaryWriter()
  .tag(1, WireType.LengthDelimited)
  .string("CARD_CHANGED")
  .tag(2, WireType.LengthDelimited)
  .string("obole.market")
  .tag(3, WireType.LengthDelimited)
  .bytes(pair("bid", "7"))
  .finish();
const badRequest = new BinaryWriter()
  .tag(1, WireType.LengthDelimited)
  .bytes(pair("line", "12"))
  .tag(1, WireType.LengthDelimited)
  .bytes(pair("field", "Value is no number"))
  .finish();
const retryInfo = new BinaryWriter()
  .tag(1, WireType.LengthDelimited)
  .bytes(new BinaryWriter().tag(1, WireType.Varint).int64(2).tag(2, WireType.Varint).int32(500_000_000).finish())
  .finish();

describe("details", () => {
  it("are read: reason, facts and when to try again", () => {
    const d = readDetails([
      { type: "google.rpc.ErrorInfo", value: errorInfo },
      { type: "google.rpc.BadRequest", value: badRequest },
      { type: "google.rpc.RetryInfo", value: retryInfo },
      { type: "something.else", value: new Uint8Array([255]) },
    ]);
    expect(d).toEqual({
      reason: "CARD_CHANGED",
      facts: [
        { name: "bid", text: "7" },
        { name: "line", text: "12" },
        { name: "field", text: "Value is no number" },
      ],
      retryAfter: 2500,
    });
  });
  it("that are broken say nothing", () => {
    expect(readDetails([{ type: "google.rpc.ErrorInfo", value: new Uint8Array([10, 200]) }]).reason).toBe("");
  });
});

describe("what went wrong", () => {
  it("is no answer at all", () => {
    expect(faultOf(new TypeError("failed to fetch")).kind).toBe("offline");
    expect(faultOf(ConnectError.from(new TypeError("failed to fetch"))).kind).toBe("offline");
  });
  it("is a service that is down, and may pass", () => {
    const f = faultOf(new ConnectError("no", Code.Unavailable));
    expect([f.kind, f.passing]).toEqual(["unavailable", true]);
  });
  it("is a refusal with its reason", () => {
    const e = new ConnectError("no", Code.FailedPrecondition);
    e.details.push({ type: "google.rpc.ErrorInfo", value: errorInfo });
    const f = faultOf(e);
    expect([f.kind, f.reason, f.passing]).toEqual(["refused", "CARD_CHANGED", false]);
  });
  it("is read from the edge's own answers", () => {
    const value = btoa(String.fromCharCode(...badRequest));
    const f = faultOfBody(400, { code: "invalid_argument", message: "a row", details: [{ type: "google.rpc.BadRequest", value }] });
    expect([f.kind, f.fact("line"), f.fact("field")]).toEqual(["invalid", "12", "Value is no number"]);
    expect(faultOfBody(401, undefined).kind).toBe("session");
    expect(faultOfBody(503, "<html>").kind).toBe("unavailable");
    expect(faultOfBody(500, null).kind).toBe("broken");
  });
});
