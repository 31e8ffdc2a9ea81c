// What is worth telling a person, made of what is recorded: nothing is sent, nothing counts down, nothing asks to come back.
import type { Consent } from "../gen/obole/consent/v1/service_pb";
import type { Use } from "../gen/obole/delivery/v1/service_pb";
import type { Entry } from "../gen/obole/record/v1/record_pb";

export type Letter =
  | { kind: "overdue"; at: bigint; use: Use }
  | { kind: "ending"; at: bigint; consent: Consent }
  | { kind: "terms" | "rules"; at: bigint; consent: Consent; was: string; is: string }
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

/** What is in force now: the newest version of each product, by id, and of the policy pack that protects the person. */
export interface InForce {
  products: ReadonlyMap<string, string>;
  policy: { pack: string; version: string } | undefined;
}

/** Agreements that were made by terms of which there are newer ones. They stay as they were accepted; whoever has them is told. */
export function changed(living: readonly Consent[], now: InForce): Letter[] {
  const out: Letter[] = [];
  for (const consent of living) {
    const l = consent.record?.licence;
    const product = l?.product;
    const newest = product && now.products.get(product.id);
    if (product && newest !== undefined && newest !== product.version)
      out.push({ kind: "terms", at: consent.givenAt, consent, was: product.version, is: newest });
    if (l?.policy && now.policy && l.policy.pack === now.policy.pack && l.policy.version !== now.policy.version)
      out.push({ kind: "rules", at: consent.givenAt, consent, was: l.policy.version, is: now.policy.version });
  }
  return out;
}

/** The newest of several versions of each product in the catalogue. */
export function newestOf(products: readonly { ref?: { id: string; version: string } | undefined }[]): Map<string, string> {
  const out = new Map<string, string>();
  for (const { ref } of products) {
    const known = ref && out.get(ref.id);
    if (ref && (known === undefined || ref.version.localeCompare(known, "en", { numeric: true }) > 0)) out.set(ref.id, ref.version);
  }
  return out;
}

/**
 * Letters, the urgent first, else newest first. `overdue` are deliveries that a buyer had to delete and has not: they are asked for by
 * themselves, so that they are told however much has happened since, each agreement once.
 */
export function letters(entries: readonly Entry[], ending: readonly Consent[], overdue: readonly Use[], terms: readonly Letter[] = []): Letter[] {
  const byAgreement = new Map(overdue.map((use) => [use.agreementId, use]));
  const late: Letter[] = [...byAgreement.values()].map((use) => ({ kind: "overdue", at: use.deletion?.due ?? 0n, use }));
  const soon: Letter[] = ending.map((consent) => ({ kind: "ending", at: consent.record?.licence?.expiresAt ?? 0n, consent }));
  const rest: Letter[] = [];
  for (const entry of entries) {
    const kind = told[entry.type];
    if (kind) rest.push({ kind, at: entry.at, entry });
  }
  const byTime = (a: Letter, b: Letter) => (a.at === b.at ? 0 : a.at > b.at ? -1 : 1);
  return [...late.sort(byTime), ...soon.sort((a, b) => -byTime(a, b)), ...terms, ...rest.sort(byTime)];
}
