import { useState } from "preact/compat";
import { ConsentService } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import type { Licence } from "../gen/obole/market/v1/market_pb";
import { useSpeech, type Speech } from "../i18n";
import { changed, letters, newestOf, type Letter } from "../model/inbox";
import { entryId, merge } from "../model/history";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { remember, remembered } from "../remember";
import { Bones, Button, Chip, Empty, Notice, PageHead, Problem, Stale } from "../ui/parts";
import type { IconName } from "../ui/icon";
import { Icon } from "../ui/icon";
import { productName } from "../ui/words";
import { useHistories } from "./record";
import { buyerOf, useAccount, useBuyers, useLiving } from "./shared";

const month = 30n * 86_400n * 1_000_000n;
const shown = 50;

export function Inbox() {
  const speech = useSpeech();
  const { t, ago, date } = speech;
  const { me, config } = usePage();
  // The moment is kept while the screen is shown, rounded to the hour, so that the same question is one question.
  const [now] = useState(() => BigInt(Math.ceil(Date.now() / 3_600_000)) * 3_600_000_000n);
  const ending = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, live: true, endsBefore: now + month, pageSize: 100 });
  const living = useLiving();
  const catalogue = useRead(DeliveryService.method.listProducts, { pageSize: 1000 });
  const account = useAccount();
  const overdue = useRead(DeliveryService.method.listUses, { subscriberId: me.subject, deleteDueBefore: now, pageSize: 1000 });
  // What has ended says little by itself: the agreement that it was names buyer and product.
  const consents = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, pageSize: 1000 });
  const licences = new Map((consents.data?.consents ?? []).map((c) => [c.agreementId, c.record?.licence]));
  const histories = useHistories(100);
  const [more, setMore] = useState(shown);
  const known = histories.every((h) => h.items !== undefined);
  const broken = histories.find((h) => h.error);
  const stale = histories.find((h) => h.stale);
  const merged = merge(histories.map((h) => ({ entries: h.items ?? [], more: h.more !== undefined })));
  const terms = changed(living.data?.consents ?? [], { products: newestOf(catalogue.data?.products ?? []), policy: account.data?.account?.policy });
  const all = letters(merged.entries, ending.data?.consents ?? [], overdue.data?.uses ?? [], terms);
  const buyers = useBuyers(all.map((l) => ("use" in l ? l.use.buyerId : "consent" in l ? buyerOf(l.consent) : licences.get(l.entry.agreementId)?.buyerId || l.entry.buyerId)));
  const next = merged.next >= 0 ? histories[merged.next]?.more : undefined;
  const name = (id: string) => buyers.get(id)?.legalName ?? t("buyer.unknown");
  const policySeen = remembered("seen-privacy");
  const [policyNew, setPolicyNew] = useState(policySeen !== undefined && policySeen !== config.privacy.version);
  if (policySeen === undefined) remember("seen-privacy", config.privacy.version);
  return (
    <>
      <PageHead title={t("inbox.title")} lead={t("inbox.lead")} />
      {policyNew && (
        <Notice>
          <p>{t("inbox.policy", { when: speech.day(config.privacy.since) })}</p>
          <div class="row">
            <a class="button" href="/privacy">
              {t("inbox.policy.read")}
            </a>
            <Button
              kind="plain"
              onClick={() => {
                remember("seen-privacy", config.privacy.version);
                setPolicyNew(false);
              }}
            >
              {t("inbox.policy.seen")}
            </Button>
          </div>
        </Notice>
      )}
      {broken?.error && <Problem fault={broken.error} again={() => histories.forEach((h) => h.error && h.again())} />}
      {stale && <Stale at={stale.at} />}
      {!known && !broken && <Bones tall />}
      {known && all.length === 0 && (
        <Empty icon="inbox" title={t("inbox.none")}>
          {t("inbox.none.text")}
        </Empty>
      )}
      {all.length > 0 && (
        <div class="list">
          <ul class="plain" aria-label={t("inbox.title")}>
            {all.slice(0, more).map((l) => {
              const [title, text, href] = write(speech, l, name, licences);
              return (
                <li key={`${l.kind}${"entry" in l ? entryId(l.entry) : "use" in l ? l.use.agreementId : l.consent.agreementId}`}>
                  <a class="item letter" href={href}>
                    <span class="title">
                      <Icon name={icons[l.kind]} />
                      {title}
                    </span>
                    <span class="soft small num">{l.kind === "ending" ? <Chip tone="warn">{date(l.at)}</Chip> : "was" in l ? "" : ago(l.at)}</span>
                    <span class="line">{text}</span>
                  </a>
                </li>
              );
            })}
          </ul>
        </div>
      )}
      {(all.length > more || next) && all.length > 0 && (
        <div>
          <Button
            onClick={() => {
              setMore(more + shown);
              next?.();
            }}
          >
            {t("act.more")}
          </Button>
        </div>
      )}
    </>
  );
}

const icons: Record<Letter["kind"], IconName> = {
  overdue: "warn",
  ending: "clock",
  terms: "file",
  rules: "rights",
  delivered: "uses",
  paid: "money",
  available: "money",
  credited: "money",
  returned: "warn",
  ended: "record",
  voided: "record",
  blocked: "rights",
};

type Licences = ReadonlyMap<string, Licence | undefined>;

function write(s: Speech, l: Letter, name: (id: string) => string, licences: Licences): [title: string, text: string, href: string] {
  if ("use" in l) return [s.t("inbox.overdue"), s.t("inbox.overdue.text", { buyer: name(l.use.buyerId), when: s.date(l.at) }), `/uses/${l.use.deliveryId}`];
  if (l.kind === "ending") {
    const licence = l.consent.record?.licence;
    return [s.t("inbox.ending"), s.t("inbox.ending.text", { buyer: name(licence?.buyerId ?? ""), product: productName(s, licence?.product?.id ?? "") }), "/uses"];
  }
  if ("was" in l) {
    const licence = l.consent.record?.licence;
    const values = { buyer: name(licence?.buyerId ?? ""), product: productName(s, licence?.product?.id ?? ""), was: l.was, is: l.is };
    return [s.t(`inbox.${l.kind}`), s.t(`inbox.${l.kind}.text`, values), "/uses"];
  }
  const e = l.entry;
  const ended = licences.get(e.agreementId);
  if (l.kind === "ended" && ended) return [s.t("inbox.ended"), s.t("inbox.ended.of", { buyer: name(ended.buyerId), product: productName(s, ended.product?.id ?? "") }), "/uses"];
  const values = { buyer: name(e.buyerId), product: e.product?.id ? productName(s, e.product.id) : "", amount: s.money(e.amount), n: e.slots, why: e.reason ? s.family("event.reason", e.reason, e.reason) : "" };
  const money = l.kind === "paid" || l.kind === "available" || l.kind === "credited" || l.kind === "returned";
  const href = e.deliveryId ? `/uses/${e.deliveryId}` : money ? "/money" : "/uses";
  return [s.t(`inbox.${l.kind}`), s.t(`inbox.${l.kind}.text`, values), href];
}
