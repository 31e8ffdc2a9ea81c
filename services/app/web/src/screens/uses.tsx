// Who has my data: what lives and can be withdrawn, and every delivery there ever was.
import { useState } from "preact/compat";
import { ConsentService, ConsentState, type Consent } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService, DeliveryState, type Use } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech } from "../i18n";
import { consent } from "../net/client";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { LongList } from "../ui/longlist";
import { Stacked } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { Bones, Button, Card, Chip, Dialog, Empty, Facts, More, PageHead, Problem, Section, Stale } from "../ui/parts";
import { fieldName, productName, purposeName, rungName } from "../ui/words";
import { deliveryState, PauseAll } from "./home";
import { BuyerName, buyerOf, Shown, useBuyers, useLiving } from "./shared";

export function Uses() {
  const { t } = useSpeech();
  const living = useLiving();
  return (
    <>
      <PageHead title={t("uses.title")} lead={t("uses.lead")} />
      <PauseAll />
      <Section title={t("uses.living")}>
        <Shown read={living} tall>
          {(c) =>
            c.consents.length === 0 ? (
              <Empty icon="uses" title={t("uses.living.none")} act={<a class="button" href="/offers">{t("uses.living.none.act")}</a>}>
                {t("uses.living.none.text")}
              </Empty>
            ) : (
              <Living consents={c.consents} paused={c.paused} stale={living.stale} />
            )
          }
        </Shown>
      </Section>
      <Ended />
      <Deliveries />
    </>
  );
}

function Living({ consents, paused, stale }: { consents: Consent[]; paused: boolean; stale: boolean }) {
  const { t } = useSpeech();
  const buyers = useBuyers(consents.map(buyerOf));
  return (
    <>
      <ul class="plain stack">
        {consents.map((c) => (
          <li key={c.agreementId}>
            <OneConsent consent={c} paused={paused} stale={stale} buyers={buyers} />
          </li>
        ))}
      </ul>
      {consents.length > 1 && (
        <div class="row">
          <Withdraw label={t("withdraw.all")} count={consents.length} />
        </div>
      )}
    </>
  );
}

interface OneProps {
  consent: Consent;
  paused: boolean;
  stale: boolean;
  buyers: ReturnType<typeof useBuyers>;
}

/** One agreement with what can be done about it. What may have changed since is never shown as valid. */
export function OneConsent({ consent: c, paused, stale, buyers }: OneProps) {
  const speech = useSpeech();
  const { t, date, days, price, country } = speech;
  const { me } = usePage();
  const reads = useReads();
  const l = c.record?.licence;
  const product = l?.product?.id ?? "";
  const alone = c.state === ConsentState.PAUSED;
  const pause = useAct(async (idempotencyKey) => {
    const request = { subscriberId: me.subject, agreementId: c.agreementId, idempotencyKey };
    if (alone) reads.wrote((await consent.resume(request)).cursor);
    else reads.wrote((await consent.pause(request)).cursor);
  });
  return (
    <Card>
      <div class="row apart">
        <h3>
          <BuyerName buyer={buyers.get(buyerOf(c))} id={buyerOf(c)} />
        </h3>
        {stale ? (
          <Chip tone="warn">{t("state.unsure")}</Chip>
        ) : alone || paused ? (
          <Chip tone="warn" icon="pause">
            {t("state.paused")}
          </Chip>
        ) : (
          <Chip tone="good">{t("state.given")}</Chip>
        )}
      </div>
      <p>
        {productName(speech, product)} · {purposeName(speech, l?.purpose ?? "")}
      </p>
      <More title={t("uses.what")}>
        <Facts
          rows={[
            [t("uses.fields"), (l?.fields ?? []).map((f) => `${fieldName(speech, product, f.id)} (${rungName(speech, product, f.id, f.rung)})`).join(", ")],
            [t("offer.days"), days(l?.slots)],
            [t("uses.price"), <span class="num">{price(l?.unitPrice)}</span>],
            [t("uses.given"), date(c.givenAt)],
            [t("offer.ends"), t("offer.ends.text", { when: date(l?.expiresAt ?? 0n) })],
            [t("offer.others"), (l?.recipients ?? []).length === 0 ? t("offer.others.none") : speech.list((l?.recipients ?? []).map((r) => `${r.legalName} (${country(r.country)})`))],
            [t("offer.kept"), t("offer.kept.days", { n: l?.retentionDays ?? 0 })],
            [t("uses.count"), t("uses.deliveries.n", { n: c.releases })],
            [t("record.id"), <span class="mono">{c.agreementId}</span>],
          ]}
        />
      </More>
      <div class="choice">
        <Button icon="pause" busy={pause.busy} disabled={stale || paused} onClick={pause.go}>
          {alone ? t("pause.one.resume") : t("pause.one")}
        </Button>
        <Withdraw agreement={c.agreementId} label={t("withdraw.one")} />
      </div>
      {pause.fault && <Problem fault={pause.fault} again={pause.go} />}
    </Card>
  );
}

/** Withdraws one agreement or all of them: the button, and one question. It works while everything else is down, so nothing turns it off. */
export function Withdraw({ agreement, label, count }: { agreement?: string; label: string; count?: number }) {
  const { t, exact } = useSpeech();
  const { me, say } = usePage();
  const reads = useReads();
  const [asking, setAsking] = useState(false);
  const act = useAct(async (idempotencyKey) => {
    const said = await consent.withdraw(
      agreement ? { subscriberId: me.subject, agreementId: agreement, idempotencyKey } : { subscriberId: me.subject, all: true, idempotencyKey },
    );
    setAsking(false);
    say(`${t("withdraw.done", { when: exact(said.effectiveAt), n: said.ended })} ${t("withdraw.done.text")}`);
    reads.wrote(said.cursor);
    reads.happened("offers", "delivery", "settlement");
  });
  const close = () => {
    setAsking(false);
    act.clear();
  };
  return (
    <>
      <Button onClick={() => setAsking(true)} testid={agreement ? "withdraw" : "withdraw-all"}>
        {label}
      </Button>
      <Dialog open={asking} close={close} title={agreement ? t("withdraw.title") : t("withdraw.all.title")}>
        <p>{agreement ? t("withdraw.text") : t("withdraw.all.text", { n: count ?? 0 })}</p>
        {act.fault && <Problem fault={act.fault} again={act.go} />}
        <div class="choice">
          <Button onClick={close}>{t("act.back")}</Button>
          <Button onClick={act.go} busy={act.busy} testid="withdraw-now">
            {t("withdraw.now")}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

function Ended() {
  const { t } = useSpeech();
  const { me } = usePage();
  const list = usePaged(
    ConsentService.method.listConsents,
    { subscriberId: me.subject, pageSize: 50 },
    (a) => a.consents,
    (c) => c.agreementId,
  );
  const ended = (list.items ?? []).filter((c) => c.state !== ConsentState.GIVEN && c.state !== ConsentState.PAUSED);
  const buyers = useBuyers(ended.map(buyerOf));
  if (ended.length === 0) return null;
  return (
    <Section title={t("uses.ended")}>
      <Stacked items={ended} id={(c) => c.agreementId} more={list.more} row={(c) => <EndedConsent consent={c} buyers={buyers} />} />
    </Section>
  );
}

// When it ended, and what that stopped.
function EndedConsent({ consent: c, buyers }: { consent: Consent; buyers: ReturnType<typeof useBuyers> }) {
  const speech = useSpeech();
  const { t, exact, family } = speech;
  const l = c.record?.licence;
  return (
    <Card tone="flat">
      <div class="row apart">
        <h3>
          <BuyerName buyer={buyers.get(buyerOf(c))} id={buyerOf(c)} />
        </h3>
        <Chip>{family("consent", ConsentState[c.state] ?? "", "–")}</Chip>
      </div>
      <p class="small">
        {[
          ...(l ? [productName(speech, l.product?.id ?? ""), purposeName(speech, l.purpose)] : []),
          ...(c.endedAt > 0n ? [t("uses.ended.at", { when: exact(c.endedAt) })] : []),
        ].join(" · ")}
      </p>
      {c.state === ConsentState.WITHDRAWN && <Stopped agreement={c.agreementId} />}
    </Card>
  );
}

function Stopped({ agreement }: { agreement: string }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const read = useRead(DeliveryService.method.listUses, { subscriberId: me.subject, agreementId: agreement, pageSize: 1000 });
  if (!read.data) return null;
  const stopped = read.data.uses.filter((u) => u.state === DeliveryState.BLOCKED || u.state === DeliveryState.LAPSED).length;
  const left = read.data.uses.filter((u) => u.state === DeliveryState.RELEASED).length;
  return (
    <p class="small soft">
      {stopped > 0 ? t("withdraw.stopped", { n: stopped }) : t("withdraw.stopped.none")} {left > 0 ? t("withdraw.deleted", { n: left }) : ""}
    </p>
  );
}

function Deliveries() {
  const speech = useSpeech();
  const { t, date } = speech;
  const { me } = usePage();
  const list = usePaged(
    DeliveryService.method.listUses,
    { subscriberId: me.subject, pageSize: 200 },
    (a) => a.uses,
    (u) => u.deliveryId,
  );
  const buyers = useBuyers((list.items ?? []).map((u: Use) => u.buyerId));
  return (
    <Section title={t("uses.deliveries")} more={list.items && list.items.length > 0 && <span class="soft small">{list.more ? "" : t("uses.deliveries.n", { n: list.items.length })}</span>}>
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      {!list.items && !list.error && <Bones />}
      {list.items?.length === 0 && (
        <Empty icon="record" title={t("uses.deliveries.none")}>
          {t("uses.deliveries.none.text")}
        </Empty>
      )}
      {list.items && list.items.length > 0 && (
        <LongList
          items={list.items}
          id={(u) => u.deliveryId}
          rem={4.75}
          label={t("uses.deliveries")}
          more={list.more}
          row={(u) => (
            <a class="item" href={`/uses/${u.deliveryId}`}>
              <span class="title">
                <BuyerName buyer={buyers.get(u.buyerId)} id={u.buyerId} />
              </span>
              <span class="soft small num">{date(u.releasedAt > 0n ? u.releasedAt : u.preparedAt)}</span>
              <span class="line">
                {deliveryState(speech, u.state)} · {productName(speech, u.product?.id ?? "")} · {t("days", { n: u.slots.length })}
              </span>
            </a>
          )}
        />
      )}
    </Section>
  );
}
