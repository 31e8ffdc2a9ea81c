// What is worth telling a person, made of what is recorded: nothing is sent, nothing counts down, nothing asks to come back.
import type { Consent } from "../gen/obole/consent/v1/service_pb";
import type { Entry } from "../gen/obole/record/v1/record_pb";

export type Letter =
  | { kind: "overdue"; at: bigint; entry: Entry }
  | { kind: "ending"; at: bigint; consent: Consent }
  | { kind: "delivered" | "paid" | "available" | "credited" | "returned" | "ended" | "voided" | "blocked"; at: bigint; entry: Entry };

const told: Record<string, "delivered" | "paid" | "available" | "credited" | "returned" | "ended" | "voided" | "blocked"> = {
  delivery_released: "delivered",
  delivery_settled: "paid",
  earnings_matured: "available",
  payout_settled: "credited",
  payout_returned: "returned",
  consent_expired: "ended",
  offer_voided: "voided",
  delivery_blocked: "blocked",
};

/** Letters, the urgent first, else newest first. `now` in microseconds since 1970. */
export function letters(entries: readonly Entry[], ending: readonly Consent[], now: bigint): Letter[] {
  const attested = new Set(entries.filter((e) => e.type === "deletion_attested").map((e) => e.agreementId));
  const overdue: Letter[] = entries
    .filter((e) => e.type === "deletion_ordered" && e.due > 0n && e.due < now && !attested.has(e.agreementId))
    .map((entry) => ({ kind: "overdue", at: entry.due, entry }));
  const soon: Letter[] = ending.map((consent) => ({ kind: "ending", at: consent.record?.licence?.expiresAt ?? 0n, consent }));
  const rest: Letter[] = [];
  for (const entry of entries) {
    const kind = told[entry.type];
    if (kind) rest.push({ kind, at: entry.at, entry });
  }
  const byTime = (a: Letter, b: Letter) => (a.at === b.at ? 0 : a.at > b.at ? -1 : 1);
  return [...overdue.sort(byTime), ...soon.sort((a, b) => -byTime(a, b)), ...rest.sort(byTime)];
}
