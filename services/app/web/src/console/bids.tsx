// A buyer's bids: where each stands and why, as it changes.
import { useEffect } from "preact/compat";
import { BidState, OffersService, type Bid } from "../gen/obole/offers/v1/service_pb";
import { CloseReason, Reason } from "../gen/obole/offers/v1/events_pb";
import type { Predicate } from "../gen/obole/market/v1/market_pb";
import { useSpeech, type Speech } from "../i18n";
import { offers } from "../net/client";
import { follow } from "../net/follow";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { Stacked } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { Bones, Card, Chip, Empty, Facts, PageHead, Problem, Stale } from "../ui/parts";
import { bandName, factName, productName, purposeName } from "../ui/words";
import { Decision } from "./decision";
import { refusal } from "./shared";

const hour = 3_600_000;

/** Asks again whenever the service tells of a bid. The stream says each bid as it stands, so that after a break nothing is missed. */
function useBidWatch(buyerId: string): void {
  const reads = useReads();
  const { over } = usePage();
  useEffect(() => {
    if (over) return;
    const end = new AbortController();
    void follow({
      open: (_, signal) => offers.watchBids({ buyerId }, { signal, timeoutMs: hour }),
      position: () => undefined,
      take: () => reads.happened("offers", "settlement"),
      state: (up) => {
        if (!up) reads.mistrust(["offers"]);
      },
      // Nothing is sent while nothing changes, so that silence says nothing here.
      silence: hour,
      signal: end.signal,
      random: Math.random,
    });
    return () => end.abort();
  }, [buyerId, over, reads]);
}

const tones: Partial<Record<BidState, "good" | "warn" | "bad" | "accent">> = {
  [BidState.PLACED]: "warn",
  [BidState.OPEN]: "good",
  [BidState.REJECTED]: "bad",
};

/** Why a bid stands where it stands; undefined where there is nothing to say. */
function why(s: Speech, b: Bid): string | undefined {
  if (b.state === BidState.REJECTED) return refusal(s, Reason[b.rejected]);
  if (b.closed !== CloseReason.UNSPECIFIED) return s.family("bidclose", CloseReason[b.closed], CloseReason[b.closed]);
  return b.state === BidState.PLACED ? s.t("bids.placed.text") : undefined;
}

export function Bids() {
  const { t } = useSpeech();
  const { me } = usePage();
  useBidWatch(me.subject);
  const list = usePaged(OffersService.method.listBids, { buyerId: me.subject, pageSize: 50 }, (a) => a.bids, (b: Bid) => b.bidId);
  const place = (
    <a class="button main-act" href="/console/bids/new">
      {t("bids.new")}
    </a>
  );
  return (
    <>
      <PageHead title={t("bids.title")} lead={t("bids.lead")} />
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      {!list.items && !list.error && <Bones tall />}
      {list.items?.length === 0 && (
        <Empty icon="offers" title={t("bids.none")} act={place}>
          {t("bids.none.text")}
        </Empty>
      )}
      {list.items && list.items.length > 0 && (
        <>
          <div>{place}</div>
          <Stacked items={list.items} id={(b) => b.bidId} label={t("bids.title")} more={list.more} row={(b) => <BidCard bid={b} />} />
        </>
      )}
    </>
  );
}

/** The audience in words: every condition must hold, by any of its bands. */
function conditions(s: Speech, predicates: readonly Predicate[]): string {
  return s.list(predicates.map((p) => s.pair(factName(s, p.fact), p.bands.map((b) => bandName(s, p.fact, b)).join(" / "))));
}

function BidCard({ bid }: { bid: Bid }) {
  const speech = useSpeech();
  const { t, money, price, moment, days, percent, number } = speech;
  const terms = bid.bid?.terms;
  const reason = why(speech, bid);
  const takes = bid.state === BidState.OPEN || bid.state === BidState.PLACED;
  return (
    <Card>
      <div class="row apart">
        <h2>{productName(speech, terms?.product?.id ?? "")}</h2>
        <Chip {...(tones[bid.state] ? { tone: tones[bid.state] } : {})}>{speech.family("bidstate", BidState[bid.state], BidState[bid.state])}</Chip>
      </div>
      {reason && <p>{reason}</p>}
      <Facts
        rows={[
          [t("bids.purpose"), purposeName(speech, terms?.purpose ?? "")],
          [t("bids.price"), price(terms?.unitPrice)],
          [t("bids.quantity"), number(bid.bid?.quantity ?? 0)],
          [t("bids.days"), days(terms?.slots)],
          (terms?.predicates ?? []).length > 0 && [t("bid.who"), conditions(speech, terms?.predicates ?? [])],
          (terms?.recipients ?? []).length > 0 && [t("bid.recipients"), speech.list((terms?.recipients ?? []).map((r) => `${r.legalName} (${speech.country(r.country)})`))],
          [t("bids.filled"), bid.filledPpm === 0 ? t("bids.filled.none") : t("bids.filled.least", { part: percent(bid.filledPpm) })],
          [t("bids.cleared"), bid.cleared ? t("bids.yes") : t("bids.notyet")],
          [t("bids.held"), money(bid.held)],
          [t("bids.at"), moment(bid.placedAt)],
          [t("bids.closes"), moment(bid.bid?.closesAt ?? 0n)],
          [t("bids.id"), <span class="mono">{bid.bidId}</span>],
        ]}
      />
      <div class="row">
        <a class="button" href={`/console/deliveries?bid=${bid.bidId}`}>
          {t("nav.deliveries")}
        </a>
        {takes && <Withdraw bid={bid} />}
      </div>
    </Card>
  );
}

function Withdraw({ bid }: { bid: Bid }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const reads = useReads();
  const act = async (idempotencyKey: string) => {
    const said = await offers.withdrawBid({ bidId: bid.bidId, buyerId: me.subject, idempotencyKey });
    reads.wrote(said.cursor);
    return t("bids.withdrawn");
  };
  return <Decision name={t("bids.withdraw")} title={t("bids.withdraw.ask")} text={t("bids.withdraw.text")} act={act} testid="bid-withdraw" />;
}
