// Events in plain words.
import { By, type Entry } from "../gen/obole/record/v1/record_pb";
import type { BuyerCard } from "../gen/obole/offers/v1/service_pb";
import type { Speech } from "../i18n";
import { bandName, factName, importerName, productName, purposeName, schemaName } from "../ui/words";

type Buyers = Map<string, BuyerCard>;

/** What happened, in one sentence. */
export function sentence(s: Speech, e: Entry, buyers: Buyers): string {
  const buyer = buyers.get(e.buyerId)?.legalName ?? "";
  if (e.all && e.type === "consent_withdrawn") return s.t("event.all.withdrawn");
  if (e.all && e.type === "consent_paused") return s.t("event.all.paused");
  if (e.all && e.type === "consent_resumed") return s.t("event.all.resumed");
  const told = s.family("event", e.type, e.type.replaceAll("_", " "));
  // Each time new measurements come, all that the rules say is told again: what it is about tells one from the other.
  if (e.derived.length > 0) return s.pair(told, e.derived.map((d) => factName(s, d.fact)).join("; "));
  return buyer && !told.includes(buyer) ? s.pair(told, buyer) : told;
}

/** Who did it. */
export function byWhom(s: Speech, e: Entry, buyers: Buyers): string {
  // The person's asking is what an offer is made for, but the market shows it.
  if (e.type === "offer_presented") return s.t("by.MARKET");
  if (e.by === By.BUYER) return buyers.get(e.buyerId)?.legalName ?? s.t("by.BUYER");
  return s.family("by", By[e.by] ?? "", "");
}

/** What it was about. */
export function detail(s: Speech, e: Entry): string {
  const out: string[] = [];
  if (e.amount) out.push(s.money(e.amount));
  else if (e.netPrice) out.push(s.t("record.price", { price: s.price(e.netPrice) }));
  if (e.product?.id) out.push(productName(s, e.product.id));
  if (e.purpose) out.push(purposeName(s, e.purpose));
  if (e.slots > 0) out.push(s.t("days", { n: e.slots }));
  if (e.corrected) {
    out.push(schemaName(s, e.corrected.schema), s.day(e.corrected.day));
    if (e.corrected.deliveryIds.length > 0) out.push(s.t("record.carried", { n: e.corrected.deliveryIds.length }));
  }
  if (e.importer) out.push(importerName(s, e.importer));
  for (const r of e.received) out.push(s.t("record.received", { n: r.points, what: schemaName(s, r.schema) }));
  for (const d of e.derived) out.push(`${factName(s, d.fact)}: ${bandName(s, d.fact, d.band)}`);
  if (e.reason) out.push(s.family("reason", e.reason, s.family("event.reason", e.reason, e.reason.toLowerCase().replaceAll("_", " "))));
  return out.join(" · ");
}
