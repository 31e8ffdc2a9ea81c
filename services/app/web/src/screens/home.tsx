import { Reason } from "../gen/obole/consent/v1/events_pb";
import { ConsentService, ConsentState } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService, DeliveryState } from "../gen/obole/delivery/v1/service_pb";
import { OfferState } from "../gen/obole/offers/v1/service_pb";
import { SettlementService } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech } from "../i18n";
import { earned } from "../model/earned";
import { consent } from "../net/client";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Lined } from "../ui/lists";
import { Card, Chip, Empty, Notice, PageHead, Problem, Section, Switch } from "../ui/parts";
import { callName, productName, purposeName } from "../ui/words";
import { Join } from "./join";
import { BuyerName, buyerOf, Shown, useAccount, useBuyers, useLiving, useOffers } from "./shared";

export function Home() {
  const speech = useSpeech();
  const { t } = speech;
  const { me } = usePage();
  const account = useAccount();
  // Whoever is signed in need not have joined.
  if (account.data && !account.data.account) return <Join />;
  const name = callName(speech, me);
  return (
    <>
      <PageHead title={name ? t("home.title", { name }) : t("home.title.nobody")} />
      <NotEligible />
      <Earned />
      <PauseAll />
      <Waiting />
      <UsedNow />
      <Latest />
    </>
  );
}

/** Why no paid offer is made, where none is. */
export function NotEligible() {
  const { t, family } = useSpeech();
  const { config } = usePage();
  const account = useAccount().data?.account;
  if (!account || account.notEligible === 0) return null;
  const reason = Reason[account.notEligible] ?? "";
  const ofAge = reason === "AGE_UNKNOWN" || reason === "UNDER_AGE";
  return (
    <Notice>
      <p>
        <strong>{t("eligible.no")}</strong> {family("eligible", reason, t("eligible.other"))}
        {ofAge && account.adultAge > 0 ? ` ${t("eligible.age", { n: account.adultAge })}` : ""}
      </p>
      {ofAge && (
        <p>
          {reason === "AGE_UNKNOWN" ? t("eligible.AGE_UNKNOWN.do") : t("eligible.UNDER_AGE.do")} <a href={`mailto:${config.operator.dpo}`}>{config.operator.dpo}</a>
        </p>
      )}
      <p>{reason === "ACCOUNT_CLOSED" ? t("eligible.closed") : t("eligible.still")}</p>
    </Notice>
  );
}

function Earned() {
  const { t, money } = useSpeech();
  const { me } = usePage();
  const read = useRead(SettlementService.method.getEarnings, { subscriberId: me.subject });
  return (
    <Section title={t("home.earned")} more={<a href="/money">{t("home.earned.more")}</a>}>
      <Shown read={read} tall>
        {(e) => (
          <Card>
            <p class="total num" data-testid="earned-total">
              {money(earned(e))}
            </p>
            <dl class="three">
              <div>
                <dt>{t("money.pending")}</dt>
                <dd class="num">{money(e.pending)}</dd>
              </div>
              <div>
                <dt>{t("money.available")}</dt>
                <dd class="num">{money(e.available)}</dd>
              </div>
              <div>
                <dt>{t("money.paid")}</dt>
                <dd class="num">{money(e.paid)}</dd>
              </div>
            </dl>
            {(e.requested?.minor ?? 0n) > 0n && <p class="soft small">{t("payout.way", { amount: money(e.requested) })}</p>}
          </Card>
        )}
      </Shown>
    </Section>
  );
}

/** One switch that pauses everything at once. */
export function PauseAll() {
  const { t } = useSpeech();
  const { me, say } = usePage();
  const reads = useReads();
  const living = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, live: true, pageSize: 200 });
  const paused = living.data?.paused === true;
  const act = useAct(async (idempotencyKey) => {
    if (paused) reads.wrote((await consent.resume({ subscriberId: me.subject, all: true, idempotencyKey })).cursor);
    else reads.wrote((await consent.pause({ subscriberId: me.subject, all: true, idempotencyKey })).cursor);
    say(paused ? t("pause.off.done") : t("pause.on.done"));
  });
  if (!living.data) return living.error ? null : <Card tone="flat">{t("loading")}</Card>;
  return (
    <Card tone={paused ? "sunken" : "flat"}>
      <Switch
        on={paused}
        change={act.go}
        busy={act.busy}
        disabled={living.stale}
        label={t("pause.label")}
        hint={paused ? t("pause.on") : t("pause.off")}
        testid="pause-all"
      />
      {act.fault && <Problem fault={act.fault} again={act.go} />}
    </Card>
  );
}

function Waiting() {
  const { t } = useSpeech();
  const read = useOffers();
  const barred = (useAccount().data?.account?.notEligible ?? 0) !== 0;
  return (
    <Section title={t("home.offers")} more={<a href="/offers">{t("home.offers.more")}</a>}>
      <Shown read={read}>
        {(o) => {
          const waiting = o.offers.filter((x) => x.state === OfferState.PRESENTED);
          if (waiting.length === 0 && barred) return <Empty icon="offers" title={t("home.offers.barred")} />;
          if (waiting.length === 0)
            return (
              <Empty icon="offers" title={t("home.offers.none")} act={<a class="button" href="/rules">{t("home.offers.rules")}</a>}>
                {o.hiddenByFloor + o.hiddenByRules > 0 ? t("home.offers.hidden", { n: o.hiddenByFloor + o.hiddenByRules }) : t("home.offers.none.text")}
              </Empty>
            );
          return (
            <a class="card" href="/offers" data-testid="offers-waiting">
              <div class="row apart">
                <strong>{t("home.offers.some", { n: waiting.length })}</strong>
                <Chip tone="accent">{t("home.offers.look")}</Chip>
              </div>
              <p class="soft small">{t("home.offers.calm")}</p>
            </a>
          );
        }}
      </Shown>
    </Section>
  );
}

function UsedNow() {
  const { t, date } = useSpeech();
  const speech = useSpeech();
  const read = useLiving();
  const buyers = useBuyers((read.data?.consents ?? []).map(buyerOf));
  return (
    <Section title={t("home.used")} more={<a href="/uses">{t("home.used.more")}</a>}>
      <Shown read={read}>
        {(c) =>
          c.consents.length === 0 ? (
            <Empty icon="uses" title={t("home.used.none")}>
              {t("home.used.none.text")}
            </Empty>
          ) : (
            <div class="list">
              <ul class="plain">
                {c.consents.slice(0, 5).map((x) => {
                  const l = x.record?.licence;
                  const paused = c.paused || x.state === ConsentState.PAUSED;
                  return (
                    <li key={x.agreementId}>
                      <a class="item" href="/uses">
                        <span class="title">
                          <BuyerName buyer={buyers.get(buyerOf(x))} id={buyerOf(x)} />
                        </span>
                        <span>
                          {read.stale ? <Chip tone="warn">{t("state.unsure")}</Chip> : paused ? <Chip tone="warn" icon="pause">{t("state.paused")}</Chip> : <Chip tone="good">{t("state.given")}</Chip>}
                        </span>
                        <span class="line">
                          {productName(speech, l?.product?.id ?? "")} · {purposeName(speech, l?.purpose ?? "")} · {t("until", { when: date(l?.expiresAt ?? 0n) })}
                        </span>
                      </a>
                    </li>
                  );
                })}
              </ul>
            </div>
          )
        }
      </Shown>
    </Section>
  );
}

function Latest() {
  const speech = useSpeech();
  const { t, ago } = speech;
  const { me } = usePage();
  const read = useRead(DeliveryService.method.listUses, { subscriberId: me.subject, pageSize: 3 });
  const buyers = useBuyers((read.data?.uses ?? []).map((u) => u.buyerId));
  if (!read.data || read.data.uses.length === 0) return null;
  return (
    <Section title={t("home.latest")}>
      <Lined
        items={read.data.uses}
        id={(u) => u.deliveryId}
        row={(u) => (
          <a class="item" href={`/uses/${u.deliveryId}`}>
            <span class="title">
              <BuyerName buyer={buyers.get(u.buyerId)} id={u.buyerId} />
            </span>
            <span class="soft small">{ago(u.releasedAt > 0n ? u.releasedAt : u.preparedAt)}</span>
            <span class="line">
              {productName(speech, u.product?.id ?? "")} · {t("days", { n: u.slots.length })} · {deliveryState(speech, u.state)}
            </span>
          </a>
        )}
      />
    </Section>
  );
}

/** Where a delivery stands, in words. */
export function deliveryState(speech: ReturnType<typeof useSpeech>, state: DeliveryState): string {
  return speech.family("delivery", DeliveryState[state] ?? "", "–");
}
