// Money: the same numbers as everywhere, down to one delivery and the event behind it.
import { EarningGroup, SettlementService, type Earning, type EarningSum } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { earned } from "../model/earned";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { go, isId } from "../route";
import { Lined } from "../ui/lists";
import { LongList } from "../ui/longlist";
import { usePaged } from "../ui/paged";
import { Bones, Card, Empty, PageHead, Problem, Section, Segments, Stale } from "../ui/parts";
import { productName } from "../ui/words";
import { AskPayout, Payouts } from "./payouts";
import { placeText } from "./use";
import { Lost } from "./lost";
import { BuyerName, Shown, useBuyers } from "./shared";

type By = "month" | "buyer" | "product";
const groups: Record<By, EarningGroup> = { month: EarningGroup.MONTH, buyer: EarningGroup.BUYER, product: EarningGroup.PRODUCT };

// What a key of an address must look like to be one of those sums.
const isKey: Record<By, (key: string) => boolean> = { month: (k) => /^\d{4}-(0[1-9]|1[0-2])$/.test(k), buyer: isId, product: (k) => /^[a-z][a-z0-9-]{0,39}$/.test(k) };

export function Money({ query }: { query: URLSearchParams }) {
  const { t, money, price } = useSpeech();
  const { me } = usePage();
  const earnings = useRead(SettlementService.method.getEarnings, { subscriberId: me.subject });
  const by = (["month", "buyer", "product"] as const).find((b) => b === query.get("by")) ?? "month";
  const key = query.get("key") ?? "";
  if (key !== "" && !isKey[by](key)) return <Lost />;
  return (
    <>
      <PageHead title={t("money.title")} lead={t("money.lead")} {...(key ? { back: { href: `/money?by=${by}`, text: t("money.title") } } : {})} />
      {!key && (
        <Shown read={earnings} tall>
          {(e) => {
            const total = earned(e);
            const { currency } = total;
            return (
              <Card>
                <p class="soft small">{t("money.total")}</p>
                <p class="total num" data-testid="earned-total">
                  {money(total)}
                </p>
                <dl class="sums">
                  {(["pending", "available", "requested", "paid"] as const).map((k) => (
                    <div key={k}>
                      <dt>
                        {t(`money.${k}`)}
                        <span class="soft tiny">{t(`money.${k}.text`)}</span>
                      </dt>
                      <dd class="num">{money(e[k])}</dd>
                    </div>
                  ))}
                </dl>
                {e.residualMicros > 0n && <p class="soft small">{t("money.residual", { amount: price({ micros: e.residualMicros, currency }) })}</p>}
                {e.residualMicros < 0n && <p class="soft small">{t("money.residual.less", { amount: price({ micros: -e.residualMicros, currency }) })}</p>}
                <AskPayout available={e.available?.minor ?? 0n} currency={currency} stale={earnings.stale} />
                <p class="soft tiny">{t("money.position", { place: placeText(e.cursor) })}</p>
              </Card>
            );
          }}
        </Shown>
      )}
      {!key && <Payouts />}
      {!key && <Sums by={by} />}
      <Earnings by={by} chosen={key} />
    </>
  );
}

function Sums({ by }: { by: By }) {
  const speech = useSpeech();
  const { t, money } = speech;
  const { me } = usePage();
  const list = usePaged(
    SettlementService.method.sumEarnings,
    { subscriberId: me.subject, by: groups[by], pageSize: 100 },
    (a) => a.sums,
    (s: EarningSum) => s.key,
  );
  const buyers = useBuyers(by === "buyer" ? (list.items ?? []).map((s) => s.key) : []);
  if (list.items?.length === 0) return null;
  return (
    <Section
      title={t("money.by")}
      more={
        <Segments
          label={t("money.by")}
          value={by}
          change={(b) => go(`/money?by=${b}`, true)}
          options={[
            ["month", t("money.by.month")],
            ["buyer", t("money.by.buyer")],
            ["product", t("money.by.product")],
          ]}
        />
      }
    >
      {list.error && <Problem fault={list.error} again={list.again} />}
      {!list.items && !list.error && <Bones />}
      {list.items && (
        <Lined
          items={list.items}
          id={(s) => s.key}
          row={(s) => (
            <a class="item" href={`/money?by=${by}&key=${encodeURIComponent(s.key)}`}>
              <span class="title">{by === "buyer" ? <BuyerName buyer={buyers.get(s.key)} id={s.key} /> : sumName(speech, by, s.key)}</span>
              <strong class="num">{money(s.net)}</strong>
              <span class="line">
                {t("uses.deliveries.n", { n: s.deliveries })} · {t("days", { n: s.slots })}
              </span>
            </a>
          )}
        />
      )}
    </Section>
  );
}

function sumName(speech: Speech, by: By, key: string): string {
  return by === "month" ? speech.month(key) : productName(speech, key);
}

function Earnings({ by, chosen }: { by: By; chosen: string }) {
  const speech = useSpeech();
  const { t, money, moment, date } = speech;
  const { me } = usePage();
  const filter = chosen === "" ? {} : by === "month" ? { month: chosen } : by === "buyer" ? { buyerId: chosen } : { productId: chosen };
  const list = usePaged(
    SettlementService.method.listEarnings,
    { subscriberId: me.subject, pageSize: 200, ...filter },
    (a) => a.earnings,
    (e: Earning) => e.deliveryId,
  );
  const buyers = useBuyers([...(list.items ?? []).map((e) => e.buyerId), ...(by === "buyer" && chosen ? [chosen] : [])]);
  const title = chosen === "" ? t("money.each") : by === "buyer" ? (buyers.get(chosen)?.legalName ?? "…") : sumName(speech, by, chosen);
  const now = BigInt(Date.now()) * 1000n;
  return (
    <Section title={title}>
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      {!list.items && !list.error && <Bones />}
      {list.items?.length === 0 && (
        <Empty icon="money" title={t("money.none")} act={<a class="button" href="/offers">{t("money.none.act")}</a>}>
          {t("money.none.text")}
        </Empty>
      )}
      {list.items && list.items.length > 0 && (
        <LongList
          items={list.items}
          id={(e) => e.deliveryId}
          rem={4.75}
          label={title}
          more={list.more}
          row={(e) => (
            <a class="item" href={`/uses/${e.deliveryId}`}>
              <span class="title">
                <BuyerName buyer={buyers.get(e.buyerId)} id={e.buyerId} />
              </span>
              <strong class="num">{money(e.net)}</strong>
              <span class="line">
                {e.availableAt > now ? t("money.line.pending", { when: date(e.availableAt) }) : moment(e.settledAt)} · {productName(speech, e.productId)} · {t("days", { n: e.slots })}
              </span>
            </a>
          )}
        />
      )}
    </Section>
  );
}
