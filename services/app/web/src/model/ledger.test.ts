import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StoredEventSchema } from "../gen/obole/event/v1/event_pb";
import { AccountKind, EventSchema, FundsDepositedSchema, type Event } from "../gen/obole/settlement/v1/events_pb";
import { SumSchema } from "../gen/obole/settlement/v1/service_pb";
import { cell, csv } from "./csv";
import { compare, Fold } from "./ledger";

const [a, b] = ["6f6a3f4e-0d3b-4f58-9a54-3c6d2e1b7a90", "0b0f3a58-7f0c-4c11-8f0a-5d8f2a7c1e44"];
const stored = (position: bigint, event: Event["event"]) => create(StoredEventSchema, { position, data: toBinary(EventSchema, create(EventSchema, { event })) });
const post = (account: AccountKind, ownerId: string, minor: bigint) => ({ account, ownerId, minor });
const deposit = (position: bigint, owner: string, minor: bigint) =>
  stored(position, {
    case: "fundsDeposited",
    value: create(FundsDepositedSchema, { buyerId: owner, postings: [post(AccountKind.CLEARING, "", -minor), post(AccountKind.BUYER_AVAILABLE, owner, minor)] }),
  });
const sum = (kind: AccountKind, accounts: bigint, minor: bigint) => create(SumSchema, { kind, accounts, balance: { minor, currency: "EUR" } });

describe("a replay", () => {
  it("folds postings to the balances that the service tells", () => {
    const fold = new Fold();
    fold.take(deposit(1n, a, 700n));
    fold.take(deposit(2n, b, 300n));
    expect(fold.broken).toBeUndefined();
    expect(fold.sums()).toEqual([
      { kind: AccountKind.BUYER_AVAILABLE, accounts: 2, minor: 1000n },
      { kind: AccountKind.CLEARING, accounts: 1, minor: -1000n },
    ]);
    const told = [sum(AccountKind.BUYER_AVAILABLE, 2n, 1000n), sum(AccountKind.CLEARING, 1n, -1000n), sum(AccountKind.SUSPENSE, 0n, 0n)];
    expect(compare(fold.sums(), told).every((c) => c.equal)).toBe(true);
  });

  it("finds a balance, a count and a kind that differ", () => {
    const fold = new Fold();
    fold.take(deposit(1n, a, 700n));
    const unequal = (...told: ReturnType<typeof sum>[]) => compare(fold.sums(), told).filter((c) => !c.equal).map((c) => c.kind);
    expect(unequal(sum(AccountKind.BUYER_AVAILABLE, 1n, 699n), sum(AccountKind.CLEARING, 1n, -700n))).toEqual([AccountKind.BUYER_AVAILABLE]);
    expect(unequal(sum(AccountKind.BUYER_AVAILABLE, 2n, 700n), sum(AccountKind.CLEARING, 1n, -700n))).toEqual([AccountKind.BUYER_AVAILABLE]);
    expect(unequal(sum(AccountKind.BUYER_AVAILABLE, 1n, 700n))).toEqual([AccountKind.CLEARING]);
  });

  it("says where the log cannot be right", () => {
    const hole = new Fold();
    hole.take(deposit(1n, a, 1n));
    hole.take(deposit(3n, a, 1n));
    expect(hole.broken).toEqual({ what: "hole", position: 3n });
    const unknown = new Fold();
    unknown.take(stored(1n, { case: undefined }));
    expect(unknown.broken).toEqual({ what: "unknown", position: 1n });
    const unbalanced = new Fold();
    unbalanced.take(
      stored(1n, { case: "fundsDeposited", value: create(FundsDepositedSchema, { buyerId: a, postings: [post(AccountKind.BUYER_AVAILABLE, a, 1n)] }) }),
    );
    expect(unbalanced.broken).toEqual({ what: "unbalanced", position: 1n });
  });
});

describe("a table as a file", () => {
  it("quotes what needs it, and lets no spreadsheet run it", () => {
    expect(csv([["kind", "amount"], ['a "b", c', "-12.50"]])).toBe('kind,amount\r\n"a ""b"", c",-12.50\r\n');
    expect(cell("=1+1")).toBe("'=1+1");
    expect(cell("-cmd")).toBe("'-cmd");
  });
});
