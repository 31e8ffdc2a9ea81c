// Being paid: asking for what is available, and what became of what was asked for.
import { useState } from "preact/compat";
import { PayoutMethod } from "../gen/obole/settlement/v1/events_pb";
import { PayoutState, ReturnReason, SettlementService, type Payout } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { exponent, typed } from "../i18n/format";
import { asked } from "../model/payout";
import { settlement } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Lined } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { amountWrong, useTyped } from "../ui/typed";
import { Button, Chip, Dialog, Field, Notice, Problem, Section, Stale } from "../ui/parts";

/** Asks for money. What is typed is kept as it was when the question was opened: what comes meanwhile is not asked for unseen. */
export function AskPayout({ available, currency, stale }: { available: bigint; currency: string; stale: boolean }) {
  const speech = useSpeech();
  const { t, money, locale } = speech;
  const { me, over, say } = usePage();
  const reads = useReads();
  const [open, setOpen] = useState(false);
  const [text, setText] = useTyped(() => "", (typed, number) => number(typed));
  const minor = asked(locale, text, available, currency);
  const act = useAct(async (idempotencyKey) => {
    if (minor === undefined) return;
    const amount = { minor, currency };
    const said = await settlement.requestPayout({ subscriberId: me.subject, amount, method: PayoutMethod.BILL_CREDIT, idempotencyKey });
    say(t("payout.done", { amount: money(said.amount) }));
    setOpen(false);
    reads.wrote(said.cursor);
  });
  const ask = () => {
    const digits = exponent(currency);
    setText(typed(locale, available * 10n ** BigInt(6 - digits), digits));
    act.clear();
    setOpen(true);
  };
  return (
    <>
      <div>
        <Button kind="main" icon="money" onClick={ask} disabled={available <= 0n || stale || over} testid="ask-payout">
          {t("payout.ask")}
        </Button>
      </div>
      <p class="soft small">{available > 0n ? t("payout.how") : t("payout.nothing")}</p>
      <Dialog open={open} close={() => setOpen(false)} title={t("payout.ask")}>
        <Field
          label={t("payout.amount")}
          hint={t("payout.most", { amount: money({ minor: available, currency }) })}
          unit={currency}
          inputMode="decimal"
          value={text}
          change={setText}
          wrong={minor === undefined ? amountWrong(speech, text, t("payout.wrong", { amount: money({ minor: available, currency }) })) : undefined}
        />
        <ol class="small next">
          <li>{t("payout.next.now")}</li>
          <li>{t("payout.next.billing")}</li>
          <li>{t("payout.next.bill")}</li>
        </ol>
        <p class="soft small">{t("payout.back")}</p>
        {act.fault && <Problem fault={act.fault} again={act.go} />}
        <div class="choice">
          <Button onClick={() => setOpen(false)}>{t("act.cancel")}</Button>
          <Button kind="main" busy={act.busy} disabled={minor === undefined} onClick={act.go} testid="payout-now">
            {t("payout.now", { amount: minor === undefined ? "…" : money({ minor, currency }) })}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

const tones: Partial<Record<PayoutState, "good" | "warn" | "bad">> = {
  [PayoutState.REQUESTED]: "warn",
  [PayoutState.INSTRUCTED]: "warn",
  [PayoutState.SETTLED]: "good",
  [PayoutState.RETURNED]: "bad",
};

/** How far a payout has come, as a mark. */
export function PayoutChip({ payout }: { payout: Payout }) {
  const { family } = useSpeech();
  const name = PayoutState[payout.state] ?? "";
  return <Chip tone={tones[payout.state] ?? "accent"}>{family("payout.state", name, name)}</Chip>;
}

/** What happened to it, and when. */
export function payoutLine(s: Speech, p: Payout): string {
  const out = [s.t("payout.line.asked", { when: s.moment(p.requestedAt) })];
  if (p.instructedAt > 0n) out.push(s.t("payout.line.told", { when: s.moment(p.instructedAt) }));
  if (p.state === PayoutState.SETTLED) out.push(s.t("payout.line.paid", { when: s.day(p.valueDate) }));
  if (p.state === PayoutState.RETURNED) {
    const why = ReturnReason[p.reason] ?? "";
    out.push(s.t("payout.line.back", { when: s.moment(p.endedAt) }), s.family("event.reason", why, why));
  }
  return out.join(" · ");
}

/** What a person asked for, newest first; nothing while they never did. */
export function Payouts() {
  const speech = useSpeech();
  const { t, money } = speech;
  const { me } = usePage();
  const list = usePaged(SettlementService.method.listPayouts, { subscriberId: me.subject, pageSize: 50 }, (a) => a.payouts, (p: Payout) => p.payoutId);
  if (list.error && !list.items) return <Problem fault={list.error} again={list.again} />;
  if (!list.items || list.items.length === 0) return null;
  return (
    <Section title={t("payout.list")}>
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      <Lined
        items={list.items}
        id={(p) => p.payoutId}
        label={t("payout.list")}
        more={list.more}
        row={(p) => (
          <div class="item" data-testid="payout">
            <span class="title num">{money(p.amount)}</span>
            <PayoutChip payout={p} />
            <span class="line">{payoutLine(speech, p)}</span>
          </div>
        )}
      />
      {list.items.some((p) => p.state === PayoutState.RETURNED && p.reason !== ReturnReason.DUPLICATE) && (
        <Notice>
          <p>{t("payout.returned")}</p>
        </Notice>
      )}
    </Section>
  );
}
