// One delivery: who got what, why, when, under which agreement, for how much, and the events behind it.
import { ConsentService, ConsentState } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService, DeliveryState } from "../gen/obole/delivery/v1/service_pb";
import { Reason } from "../gen/obole/delivery/v1/events_pb";
import type { Cursor } from "../gen/obole/event/v1/event_pb";
import { SettlementService } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech } from "../i18n";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { Card, Chip, Empty, Facts, PageHead, Section } from "../ui/parts";
import { fieldName, productName, purposeName, rungName } from "../ui/words";
import { deliveryState } from "./home";
import { BuyerName, Shown, useBuyers } from "./shared";
import { Withdraw } from "./uses";

/** A place in a log, as text: service, partition, position. */
export function placeText(c: Cursor | undefined): string {
  return c ? `${c.service} ${c.partition}/${c.position}` : "–";
}

export function UsePage({ id }: { id: string }) {
  const speech = useSpeech();
  const { t, exact, price, money, day, country } = speech;
  const { me } = usePage();
  const read = useRead(DeliveryService.method.listUses, { subscriberId: me.subject, deliveryId: id, pageSize: 1 });
  const earned = useRead(SettlementService.method.listEarnings, { subscriberId: me.subject, deliveryIds: [id], pageSize: 1 });
  const use = read.data?.uses[0];
  const buyers = useBuyers(use ? [use.buyerId] : []);
  const back = { href: "/uses", text: t("nav.uses") };
  return (
    <Shown read={read} tall>
      {() => {
        if (!use)
          return (
            <>
              <PageHead title={t("use.title")} back={back} />
              <Empty icon="record" title={t("use.none")}>
                {t("use.none.text")}
              </Empty>
            </>
          );
        const product = use.product?.id ?? "";
        const earning = earned.data?.earnings[0];
        const tone = use.state === DeliveryState.RELEASED ? "accent" : use.state === DeliveryState.BLOCKED ? "warn" : undefined;
        return (
          <>
            <PageHead title={t("use.title")} back={back} />
            <Card>
              <div class="row apart">
                <h2>
                  <BuyerName buyer={buyers.get(use.buyerId)} id={use.buyerId} />
                </h2>
                <Chip {...(tone ? { tone } : {})}>{deliveryState(speech, use.state)}</Chip>
              </div>
              <Facts
                rows={[
                  [t("use.when"), use.releasedAt > 0n ? t("use.released", { when: exact(use.releasedAt) }) : t("use.prepared", { when: exact(use.preparedAt) })],
                  use.state === DeliveryState.BLOCKED && [t("use.blocked"), speech.family("reason", Reason[use.blocked] ?? "", "–")],
                  [t("offer.why"), purposeName(speech, use.purpose)],
                  [t("use.product"), productName(speech, product)],
                  [t("uses.fields"), use.fields.map((f) => `${fieldName(speech, product, f.id)} (${rungName(speech, product, f.id, f.rung)})`).join(", ")],
                  [t("use.days", { n: use.slots.length }), use.slots.map((d) => day(d, "short")).join(", ")],
                  [t("offer.others"), use.recipients.length === 0 ? t("offer.others.none") : use.recipients.map((r) => `${r.legalName}, ${country(r.country)}`).join("; ")],
                  [t("offer.kept"), t("offer.kept.days", { n: use.retentionDays })],
                  [t("uses.price"), <span class="num">{price(use.unitPrice)}</span>],
                  [t("use.amount"), <span class="num">{earning ? money(earning.net) : use.state === DeliveryState.RELEASED ? t("use.amount.soon") : t("use.amount.none")}</span>],
                  earning && [t("money.commission"), <span class="num">{money(earning.commission)}</span>],
                  earning && earning.withheld !== undefined && earning.withheld.minor !== 0n && [t("money.withheld"), <span class="num">{money(earning.withheld)}</span>],
                  earning && [t("money.available.at"), exact(earning.availableAt)],
                ]}
              />
            </Card>
            <Section title={t("use.proof")}>
              <Card tone="flat">
                <Facts
                  rows={[
                    [t("use.delivery"), <span class="mono">{use.deliveryId}</span>],
                    [t("use.agreement"), <span class="mono">{use.agreementId}</span>],
                    [t("use.event"), <a href={`/record?service=delivery&partition=${use.event?.partition ?? 0}&position=${use.event?.position ?? 0n}`}>{placeText(use.event)}</a>],
                    earning && [
                      t("use.event.money"),
                      <a href={`/record?service=settlement&partition=${earning.event?.partition ?? 0}&position=${earning.event?.position ?? 0n}`}>{placeText(earning.event)}</a>,
                    ],
                  ]}
                />
              </Card>
            </Section>
            <WithdrawHere agreement={use.agreementId} />
          </>
        );
      }}
    </Shown>
  );
}

// Where the agreement behind a delivery lives, it can be withdrawn from here.
function WithdrawHere({ agreement }: { agreement: string }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const read = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, agreementId: agreement, pageSize: 1 });
  const state = read.data?.consents[0]?.state;
  if (state !== ConsentState.GIVEN && state !== ConsentState.PAUSED) return null;
  return (
    <div class="row">
      <Withdraw agreement={agreement} label={t("withdraw.one")} />
    </div>
  );
}
