import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { GetEarningsResponseSchema } from "../gen/obole/settlement/v1/service_pb";
import { earned } from "./earned";

it("is all that there is and was, in the book's currency", () => {
  const of = (minor: bigint) => ({ minor, currency: "CHF" });
  expect(earned(create(GetEarningsResponseSchema, { pending: of(1n), available: of(20n), requested: of(300n), paid: of(4000n) }))).toEqual(of(4321n));
  expect(earned(create(GetEarningsResponseSchema))).toEqual({ minor: 0n, currency: "EUR" });
});
