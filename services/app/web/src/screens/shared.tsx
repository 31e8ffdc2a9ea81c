// What several screens ask for.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/compat";
import { ConsentService, type Consent } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import { OffersService, type BuyerCard } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { useRead, type Read } from "../net/reads";
import { usePage } from "../page";
import { Bones, Empty, Problem, Stale } from "../ui/parts";

/** Shows what was read; else bones, or what went wrong. What may have changed since is marked. */
export function Shown<T>({ read, children, tall }: { read: Read<T>; children: (data: T) => ComponentChildren; tall?: boolean }) {
  if (read.data === undefined) return read.error ? <Problem fault={read.error} again={read.again} /> : <Bones tall={tall ?? false} />;
  return (
    <>
      {read.stale && <Stale at={read.at} />}
      {children(read.data)}
    </>
  );
}

/**
 * Offers of the person, asked for again every ten seconds while the page is looked at: they are made for whoever asks. What is like an offer that
 * was declined is not put again before the country's interval is over, unless the person looks for it.
 */
export function useOffers(declinedToo = false) {
  const { me } = usePage();
  const { language } = useSpeech();
  const read = useRead(OffersService.method.listOffers, { subscriberId: me.subject, language, declinedToo, pageSize: 200 });
  const { again } = read;
  useEffect(() => {
    again(); // nothing tells of new ones while no screen shows any
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && navigator.onLine) again();
    }, 10_000);
    return () => clearInterval(timer);
  }, [again]);
  return read;
}

/** Consents that live. */
export function useLiving() {
  const { me } = usePage();
  return useRead(ConsentService.method.listConsents, { subscriberId: me.subject, live: true, pageSize: 200 });
}

export function useAccount() {
  const { me } = usePage();
  return useRead(ConsentService.method.getAccount, { subscriberId: me.subject });
}

// DescribeBuyers wants at least one id; a page without buyers asks for nobody's.
const nobody = "00000000-0000-4000-8000-000000000000";

/** Who some buyers are, by id. */
export function useBuyers(ids: Iterable<string>): Map<string, BuyerCard> {
  const wanted = [...new Set(ids)].filter((i) => i !== "").sort();
  const read = useRead(OffersService.method.describeBuyers, { buyerIds: wanted.length > 0 ? wanted.slice(0, 1000) : [nobody] });
  return new Map((read.data?.buyers ?? []).map((b) => [b.buyerId, b]));
}

/** A buyer's name with its country. */
export function BuyerName({ buyer, id }: { buyer: BuyerCard | undefined; id: string }) {
  const { country } = useSpeech();
  if (!buyer) return <span class="mono">{id.slice(0, 8)}</span>;
  return (
    <>
      {buyer.legalName} <span class="soft">({country(buyer.country)})</span>
    </>
  );
}

export type Slot = "day" | "night" | "week";

/** The unit of a product that is paid for. */
export function slotOf(slot: string): Slot {
  return slot === "person-night" ? "night" : slot === "person-week" ? "week" : "day";
}

/** The same by the product's id. */
export function useSlot(product: string): Slot {
  const { data } = useRead(DeliveryService.method.listProducts, { pageSize: 1000 });
  return slotOf(data?.products.find((p) => p.ref?.id === product)?.slot ?? "");
}

/** Where only those who have joined can do anything. */
export function JoinFirst() {
  const { t } = useSpeech();
  return (
    <Empty icon="person" title={t("join.first")} act={<a class="button" href="/">{t("join.act")}</a>}>
      {t("join.first.text")}
    </Empty>
  );
}

export const buyerOf = (c: Consent): string => c.record?.licence?.buyerId ?? "";
