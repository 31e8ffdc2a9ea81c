// Payouts, for finance: what people asked for, billing's reference of it, and whether it was credited or came back.
import { useState } from "preact/compat";
import { PayoutState, ReturnReason, SettlementService, type Payout } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech } from "../i18n";
import { settlement } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { go } from "../route";
import { PayoutChip, payoutLine } from "../screens/payouts";
import { Stacked } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { Bones, Card, Empty, Facts, Field, PageHead, Problem, Segments, Select, Stale } from "../ui/parts";
import { Decision } from "./decision";

type State = "REQUESTED" | "INSTRUCTED" | "SETTLED" | "RETURNED";
const states: readonly State[] = ["REQUESTED", "INSTRUCTED", "SETTLED", "RETURNED"];
const reasons = ["NO_BILL", "CONTRACT_ENDED", "DUPLICATE", "NOT_GIVEN"] as const;

export function Payouts({ query }: { query: URLSearchParams }) {
  const { t, family } = useSpeech();
  const state = states.find((s) => s === query.get("state")) ?? "REQUESTED";
  const payoutId = query.get("payout") ?? ""; // a line of a statement leads to one
  const list = usePaged(SettlementService.method.listPayouts, payoutId ? { payoutId } : { state: PayoutState[state], pageSize: 100 }, (a) => a.payouts, (p: Payout) => p.payoutId);
  return (
    <>
      <PageHead title={t("payouts.title")} lead={t("payouts.lead")} />
      {!payoutId && (
        <Segments
          label={t("deliveries.state")}
          value={state}
          change={(s) => go(`/console/payouts?state=${s}`, true)}
          options={states.map((s) => [s, family("payout.state", s, s)] as const)}
        />
      )}
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      {!list.items && !list.error && <Bones tall />}
      {list.items?.length === 0 && <Empty icon="money" title={t("payouts.none")} />}
      {list.items && list.items.length > 0 && (
        <Stacked items={list.items} id={(p) => p.payoutId} label={t("payouts.title")} more={list.more} row={(p) => <PayoutCard payout={p} />} />
      )}
    </>
  );
}

function PayoutCard({ payout }: { payout: Payout }) {
  const speech = useSpeech();
  const { t, money } = speech;
  const { me } = usePage();
  return (
    <Card>
      <div class="row apart">
        <h2 class="num">{money(payout.amount)}</h2>
        <PayoutChip payout={payout} />
      </div>
      <p class="soft small">{payoutLine(speech, payout)}</p>
      <Facts
        rows={[
          [t("payouts.id"), <span class="mono">{payout.payoutId}</span>],
          [t("payouts.person"), <span class="mono">{payout.subscriberId}</span>],
          payout.endToEndId !== "" && [t("payouts.as"), <span class="mono">{payout.endToEndId}</span>],
          payout.reference !== "" && [t("payouts.reference"), <span class="mono">{payout.reference}</span>],
        ]}
      />
      {me.roles.includes("finance") && (
        <div class="row">
          {payout.state === PayoutState.REQUESTED && <Tell payout={payout} what="instruct" />}
          {payout.state === PayoutState.INSTRUCTED && <Tell payout={payout} what="settle" />}
          {(payout.state === PayoutState.REQUESTED || payout.state === PayoutState.INSTRUCTED) && <Tell payout={payout} what="return" />}
        </div>
      )}
    </Card>
  );
}

// Milliseconds by which the day on which billing counts a credit may lie ahead: the contract's bound of SettlePayout.value_date.
const ahead = 7 * 86_400_000;
const utcDay = (millis: number): string => new Date(millis).toISOString().slice(0, 10);

/** One thing that finance says of a payout. */
function Tell({ payout, what }: { payout: Payout; what: "instruct" | "settle" | "return" }) {
  const speech = useSpeech();
  const { t, money, family } = speech;
  const reads = useReads();
  const [as, setAs] = useState("");
  const [day, setDay] = useState("");
  const [reference, setReference] = useState("");
  const [reason, setReason] = useState<(typeof reasons)[number]>("NO_BILL");
  const long = (text: string, most: number) => new TextEncoder().encode(text.trim()).length > most;
  const asWrong = what === "instruct" && (as.trim() === "" || long(as, 35));
  const earliest = utcDay(Number(payout.requestedAt / 1000n));
  const latest = utcDay(Date.now() + ahead);
  const dayWrong = what === "settle" && !(/^\d{4}-\d{2}-\d{2}$/.test(day) && day >= earliest && day <= latest);
  const referenceWrong = what === "settle" && long(reference, 64);
  const amount = money(payout.amount);
  const act = async (idempotencyKey: string) => {
    const payoutId = payout.payoutId;
    const said =
      what === "instruct"
        ? await settlement.instructPayout({ payoutId, endToEndId: as.trim(), idempotencyKey })
        : what === "settle"
          ? await settlement.settlePayout({ payoutId, valueDate: day, reference: reference.trim(), idempotencyKey })
          : await settlement.returnPayout({ payoutId, reason: ReturnReason[reason], idempotencyKey });
    reads.wrote(said.cursor);
    return t(`payouts.${what}.done`, { amount });
  };
  const title = t(`payouts.${what}.of`, { amount });
  return (
    <Decision name={t(`payouts.${what}`)} label={title} title={title} text={t(`payouts.${what}.text`)} wrong={asWrong || dayWrong || referenceWrong} act={act} testid={`payout-${what}`}>
      {(tried) => (
        <>
          {what === "instruct" && <Field label={t("payouts.as")} hint={t("payouts.as.hint")} value={as} change={setAs} wrong={tried && asWrong ? t("payouts.as.wrong") : undefined} />}
          {what === "settle" && <Field label={t("payouts.day")} kind="date" value={day} change={setDay} min={earliest} max={latest} wrong={tried && dayWrong ? t("payouts.day.wrong", { first: speech.day(earliest), last: speech.day(latest) }) : undefined} />}
          {what === "settle" && <Field label={t("payouts.reference")} hint={t("payouts.reference.hint")} value={reference} change={setReference} wrong={tried && referenceWrong ? t("payouts.reference.wrong") : undefined} />}
          {what === "return" && (
            <Select
              label={t("payouts.reason")}
              value={reason}
              change={(v) => setReason(reasons.find((r) => r === v) ?? "NO_BILL")}
              options={reasons.map((r) => [r, family("event.reason", r, r)] as const)}
            />
          )}
        </>
      )}
    </Decision>
  );
}
