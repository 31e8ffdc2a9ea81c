import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { GetStatusResponseSchema, PublishState } from "../gen/obole/log/v1/service_pb";
import { healthOf } from "./status";

const publishing = { partition: 0, tail: 10n, published: 10n, publish: PublishState.PUBLISHING };
const status = (change: Parameters<typeof create<typeof GetStatusResponseSchema>>[1] = {}) =>
  create(GetStatusResponseSchema, { service: "offers", ready: true, parts: [{ name: "relay", works: true }], partitions: [publishing], ...change });

describe("a service", () => {
  it("is well when everything works, slow when something waits, down when it says so", () => {
    expect(healthOf(status()).state).toBe("well");
    expect(healthOf(status({ parts: [{ name: "relay", works: false }] }))).toMatchObject({ state: "slow", broken: ["relay"] });
    expect(healthOf(status({ parked: [{ reaction: "clear", events: 3n, streams: 1n }] }))).toMatchObject({ state: "slow", parked: 3n });
    expect(healthOf(status({ ready: false })).state).toBe("down");
  });

  it("sums what its topic does not have, and leaves others' partitions to them", () => {
    const waiting = { partition: 1, tail: 50n, published: -1n, publish: PublishState.WAITING };
    expect(healthOf(status({ partitions: [{ ...publishing, published: 4n }, waiting] })).unpublished).toBe(6n);
    const stopped = { partition: 1, tail: 50n, published: -1n, publish: PublishState.STOPPED };
    expect(healthOf(status({ partitions: [publishing, stopped] }))).toMatchObject({ state: "slow", unpublished: undefined });
  });

  it("says of each reader how far behind it is in all, unknown first", () => {
    const reader = (name: string, partition: number, behind: bigint) => ({ name, topic: "obole.consent", partition, behind });
    const health = healthOf(status({ readers: [reader("a", 0, 2n), reader("a", 1, 3n), reader("b", 0, 2000n), reader("c", 0, -1n), reader("c", 1, 9n)] }));
    expect(health.readers.map((r) => [r.name, r.behind])).toEqual([
      ["c", undefined],
      ["b", 2000n],
      ["a", 5n],
    ]);
    expect(health.state).toBe("slow");
  });
});
