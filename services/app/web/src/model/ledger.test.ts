import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StoredEventSchema } from "../gen/obole/event/v1/event_pb";
import { AccountKind, EventSchema, FundsDepositedSchema, type Event } from "../gen/obole/settlement/v1/events_pb";
import { SumSchema } from "../gen/obole/settlement/v1/service_pb";
import { cell, csv } from "./csv";
import { compare, Fold } from "./ledger";

const [a, b, c] = ["6f6a3f4e-0d3b-4f58-9a54-3c6d2e1b7a90", "0b0f3a58-7f0c-4c11-8f0a-5d8f2a7c1e44", "c0ffee00-7f0c-4c11-8f0a-5d8f2a7c1e44"];
const stored = (position: bigint, event: Event["event"]) => create(StoredEventSchema, { position, data: toBinary(EventSchema, create(EventSchema, { event })) });
const post = (account: AccountKind, ownerId: string, minor: bigint) => ({ account, ownerId, minor });
const deposit = (position: bigint, owner: string, minor: bigint) =>
  stored(position, {
    case: "fundsDeposited",
    value: create(FundsDepositedSchema, { buyerId: owner, postings: [post(AccountKind.CLEARING, "", -minor), post(AccountKind.BUYER_AVAILABLE, owner, minor)] }),
  });
const sha256 = async (text: string) => new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
const nobody = "00000000-0000-0000-0000-000000000000";
/** sum is as the service tells it, of these accounts. */
const sum = async (kind: AccountKind, ...accounts: [string, bigint][]) =>
  create(SumSchema, {
    kind,
    accounts: BigInt(accounts.length),
    balance: { minor: accounts.reduce((all, [, minor]) => all + minor, 0n), currency: "EUR" },
    accountsSha256: await sha256(accounts.map(([owner, minor]) => `${owner} ${minor}\n`).join("")),
  });

describe("a replay", () => {
  it("folds postings to the balances that the service tells", async () => {
    const fold = new Fold();
    fold.take(deposit(1n, a, 700n));
    fold.take(deposit(2n, b, 300n));
    fold.take(deposit(3n, c, 5n));
    fold.take(deposit(4n, c, -5n));
    expect(fold.broken).toBeUndefined();
    const sums = await fold.sums();
    expect(sums.map(({ kind, accounts, minor }) => ({ kind, accounts, minor }))).toEqual([
      { kind: AccountKind.BUYER_AVAILABLE, accounts: 2, minor: 1000n },
      { kind: AccountKind.CLEARING, accounts: 1, minor: -1000n },
    ]);
    const told = [await sum(AccountKind.BUYER_AVAILABLE, [b, 300n], [a, 700n]), await sum(AccountKind.CLEARING, [nobody, -1000n]), await sum(AccountKind.SUSPENSE)];
    expect(compare(sums, told).every((c) => c.equal)).toBe(true);
  });

  it("finds a balance, a count, an owner and a kind that differ", async () => {
    const fold = new Fold();
    fold.take(deposit(1n, a, 700n));
    fold.take(deposit(2n, b, 300n));
    const clearing = await sum(AccountKind.CLEARING, [nobody, -1000n]);
    const unequal = async (...told: Awaited<ReturnType<typeof sum>>[]) => compare(await fold.sums(), told).filter((c) => !c.equal).map((c) => c.kind);
    const right = await sum(AccountKind.BUYER_AVAILABLE, [b, 300n], [a, 700n]);
    expect(await unequal(right, clearing)).toEqual([]);
    expect(await unequal(await sum(AccountKind.BUYER_AVAILABLE, [b, 300n], [a, 699n]), clearing)).toEqual([AccountKind.BUYER_AVAILABLE]);
    expect(await unequal(await sum(AccountKind.BUYER_AVAILABLE, [b, 700n], [a, 300n]), clearing)).toEqual([AccountKind.BUYER_AVAILABLE]);
    expect(await unequal(create(SumSchema, { ...right, accounts: 3n }), clearing)).toEqual([AccountKind.BUYER_AVAILABLE]);
    expect(await unequal(right)).toEqual([AccountKind.CLEARING]);
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
