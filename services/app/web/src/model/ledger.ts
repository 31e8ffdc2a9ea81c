// The ledger, folded in the page from the settlement log as it is stored: the same sums must come out as the service tells.
import { fromBinary } from "@bufbuild/protobuf";
import type { StoredEvent } from "../gen/obole/event/v1/event_pb";
import { AccountKind, EventSchema, type Posting } from "../gen/obole/settlement/v1/events_pb";
import type { Sum } from "../gen/obole/settlement/v1/service_pb";

/** Stands for the owner of the operator's own accounts. */
const nobody = "00000000-0000-0000-0000-000000000000";

/** Sums of one kind of account. */
export interface KindSum {
  kind: AccountKind;
  /** Accounts with a balance. */
  accounts: number;
  /** Minor units, credit positive. */
  minor: bigint;
  /** Over these accounts, as the contract's Sum says. */
  digest: Uint8Array;
}

/** What an event posts; undefined where it is of a kind that this page does not know. */
export function postingsOf(e: StoredEvent): readonly Posting[] | undefined {
  const { event } = fromBinary(EventSchema, e.data);
  if (event.case === undefined) return undefined;
  return "postings" in event.value ? event.value.postings : [];
}

/** Folds a log from its first event. It takes positions without holes, postings that sum to zero, and events that it knows: anything else is kept as what broke it. */
export class Fold {
  position = 0n;
  events = 0;
  /** What cannot be, and where; undefined as long as all is well. */
  broken: { what: "hole" | "unknown" | "unbalanced"; position: bigint } | undefined;
  private readonly balances = new Map<AccountKind, Map<string, bigint>>();

  take(e: StoredEvent): void {
    if (e.position !== this.position + 1n) this.broke("hole", e.position);
    this.position = e.position;
    this.events++;
    const postings = postingsOf(e);
    if (!postings) return this.broke("unknown", e.position);
    if (postings.reduce((sum, p) => sum + p.minor, 0n) !== 0n) this.broke("unbalanced", e.position);
    for (const p of postings) {
      let accounts = this.balances.get(p.account);
      if (!accounts) this.balances.set(p.account, (accounts = new Map<string, bigint>()));
      accounts.set(p.ownerId, (accounts.get(p.ownerId) ?? 0n) + p.minor);
    }
  }

  sums(): Promise<KindSum[]> {
    return Promise.all(
      [...this.balances]
        .sort(([a], [b]) => a - b)
        .map(async ([kind, accounts]) => {
          const balances = [...accounts].filter(([, b]) => b !== 0n);
          const lines = balances.map(([owner, b]) => `${owner || nobody} ${b}\n`).sort();
          return {
            kind,
            accounts: balances.length,
            minor: balances.reduce((sum, [, b]) => sum + b, 0n),
            digest: new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lines.join("")))),
          };
        }),
    );
  }

  private broke(what: "hole" | "unknown" | "unbalanced", position: bigint): void {
    this.broken ??= { what, position };
  }
}

/** One kind, as folded here and as the service tells it. */
export interface Compared {
  kind: AccountKind;
  here: KindSum | undefined;
  there: KindSum | undefined;
  equal: boolean;
}

/** Compares both, kind by kind. A kind that one side leaves out has no account with a balance. */
export function compare(here: readonly KindSum[], sums: readonly Sum[]): Compared[] {
  const there: KindSum[] = sums.map((s) => ({ kind: s.kind, accounts: Number(s.accounts), minor: s.balance?.minor ?? 0n, digest: s.accountsSha256 }));
  const kinds = [...new Set([...here, ...there].map((s) => s.kind))].sort((a, b) => a - b);
  return kinds.map((kind) => {
    const h = here.find((s) => s.kind === kind);
    const t = there.find((s) => s.kind === kind);
    const same = h && t ? String(h.digest) === String(t.digest) : true;
    return { kind, here: h, there: t, equal: same && (h?.minor ?? 0n) === (t?.minor ?? 0n) && (h?.accounts ?? 0) === (t?.accounts ?? 0) };
  });
}

/** Kinds of which each buyer or person has an account of their own. */
export const owned: readonly AccountKind[] = [
  AccountKind.BUYER_AVAILABLE,
  AccountKind.BUYER_HELD,
  AccountKind.SUBSCRIBER_PENDING,
  AccountKind.SUBSCRIBER_PAYABLE,
  AccountKind.SUBSCRIBER_PAYOUT,
  AccountKind.BILL_CREDIT,
];
