// Finance: the trial balance, the statement of one account, the settlement log as it comes, and its replay: folded here, event by event,
// and compared with what the service tells at the very position where the replay ended.
import { useEffect, useRef, useState } from "preact/compat";
import type { Cursor, StoredEvent } from "../gen/obole/event/v1/event_pb";
import { AccountKind } from "../gen/obole/settlement/v1/events_pb";
import { SettlementService, type Line, type ReplayEventsResponse, type TrialBalanceResponse } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { decimal, exponent } from "../i18n/format";
import { used } from "../model/bid";
import { csv } from "../model/csv";
import { download } from "../model/download";
import { compare, Fold, owned, type Compared } from "../model/ledger";
import { settlement } from "../net/client";
import { faultOf, type Fault } from "../net/fault";
import { backoff, pause } from "../net/backoff";
import { follow } from "../net/follow";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { placeText } from "../screens/use";
import { Shown } from "../screens/shared";
import { NextPage } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { Bones, Button, Card, Empty, Field, Notice, PageHead, Section, Select } from "../ui/parts";
import { Sideways } from "../ui/sideways";
import { Refused } from "./shared";

const hour = 3_600_000;
const kindName = (s: Speech, kind: AccountKind): string => s.family("account", AccountKind[kind] ?? "", AccountKind[kind] ?? String(kind));
const plain = (m: { minor: bigint; currency: string } | undefined): string => (m ? decimal(m.minor, exponent(m.currency)) : "");
const iso = (micros: bigint): string => new Date(Number(micros / 1000n)).toISOString();
const save = (name: string, rows: string[][]): void => download(name, [csv(rows)], "text/csv;charset=utf-8");

export function Balance() {
  const speech = useSpeech();
  const { t, money, number } = speech;
  const trial = useRead(SettlementService.method.trialBalance, {});
  const file = (b: TrialBalanceResponse) =>
    save(`trial-balance-${b.asOf?.position ?? 0n}.csv`, [
      ["kind", "accounts", "balance", "currency", "position"],
      ...b.sums.map((s) => [AccountKind[s.kind] ?? String(s.kind), String(s.accounts), plain(s.balance), s.balance?.currency ?? "", String(b.asOf?.position ?? 0n)]),
    ]);
  return (
    <>
      <PageHead title={t("balance.title")} lead={t("balance.lead")} />
      <Shown read={trial} tall>
        {(b) => (
          <>
            <Notice tone={b.total?.minor === 0n ? "good" : "bad"}>
              <p>{t(b.total?.minor === 0n ? "balance.zero" : "balance.notzero", { total: money(b.total), place: placeText(b.asOf) })}</p>
            </Notice>
            <Sideways label={t("balance.title")}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t("balance.kind")}</th>
                    <th scope="col" class="num">{t("balance.accounts")}</th>
                    <th scope="col" class="num">{t("balance.sum")}</th>
                  </tr>
                </thead>
                <tbody>
                  {b.sums.map((s) => (
                    <tr key={s.kind}>
                      <th scope="row">{kindName(speech, s.kind)}</th>
                      <td class="num">{number(s.accounts)}</td>
                      <td class="num">{money(s.balance)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Sideways>
            <div class="row">
              <Button icon="down" onClick={() => file(b)}>
                {t("finance.csv")}
              </Button>
              <Button onClick={trial.again}>{t("balance.now")}</Button>
            </div>
          </>
        )}
      </Shown>
    </>
  );
}

const kinds = Object.values(AccountKind).filter((k): k is AccountKind => typeof k === "number" && k !== AccountKind.UNSPECIFIED);
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function Statement() {
  const speech = useSpeech();
  const { t } = speech;
  const [kind, setKind] = useState<AccountKind>(AccountKind.OPERATOR_COMMISSION);
  const [owner, setOwner] = useState("");
  const needs = owned.includes(kind);
  const ready = !needs || uuid.test(owner.trim());
  return (
    <>
      <PageHead title={t("statement.title")} lead={t("statement.lead")} />
      <Card>
        <Select
          label={t("balance.kind")}
          value={String(kind)}
          change={(v) => setKind(kinds.find((k) => String(k) === v) ?? AccountKind.OPERATOR_COMMISSION)}
          options={kinds.map((k) => [String(k), kindName(speech, k)] as const)}
        />
        {needs && <Field label={t("statement.owner")} hint={t("statement.owner.hint")} value={owner} change={setOwner} wrong={owner.trim() !== "" && !ready ? t("statement.owner.wrong") : undefined} />}
      </Card>
      {ready && <Lines key={`${kind} ${owner}`} kind={kind} owner={needs ? owner.trim().toLowerCase() : ""} />}
    </>
  );
}

function Lines({ kind, owner }: { kind: AccountKind; owner: string }) {
  const speech = useSpeech();
  const { t, money, moment, family } = speech;
  const reads = useReads();
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault>();
  const account = { kind, ownerId: owner };
  const list = usePaged(SettlementService.method.listStatement, { account, pageSize: 200 }, (a) => a.lines, (l: Line) => `${l.position} ${l.balance?.minor}`);
  // The file holds every line, not only those that are shown.
  const file = async () => {
    setBusy(true);
    setFault(undefined);
    try {
      const rows = [["position", "at", "type", "amount", "balance", "currency", "bid_id", "delivery_id", "payout_id"]];
      let pageToken = "";
      do {
        const page = await reads.call(SettlementService.method.listStatement, { account, pageSize: 1000, pageToken });
        for (const l of page.lines) rows.push([String(l.position), iso(l.at), l.type, plain(l.amount), plain(l.balance), l.amount?.currency ?? "", l.bidId, l.deliveryId, l.payoutId]);
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      save(`statement-${(AccountKind[kind] ?? "").toLowerCase()}${owner ? `-${owner}` : ""}.csv`, rows);
    } catch (thrown) {
      setFault(faultOf(thrown));
    }
    setBusy(false);
  };
  if (!list.items) return list.error ? <Refused fault={list.error} again={list.again} /> : <Bones />;
  if (list.items.length === 0) return <Empty icon="money" title={t("statement.none")} />;
  return (
    <Section
      title={kindName(speech, kind)}
      more={
        <Button icon="down" busy={busy} onClick={() => void file()}>
          {t("finance.csv")}
        </Button>
      }
    >
      {fault && <Refused fault={fault} />}
      {list.error && <Refused fault={list.error} again={list.again} />}
      <Sideways label={t("statement.title")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("finance.when")}</th>
              <th scope="col">{t("finance.what")}</th>
              <th scope="col" class="num">{t("statement.amount")}</th>
              <th scope="col" class="num">{t("statement.balance")}</th>
              <th scope="col" class="num">{t("finance.position")}</th>
            </tr>
          </thead>
          <tbody>
            {list.items.map((l, i) => (
              <tr key={`${l.position} ${i}`}>
                <td>{moment(l.at)}</td>
                <td>{l.payoutId === "" ? family("posted", l.type, l.type) : <a href={`/console/payouts?payout=${l.payoutId}`}>{family("posted", l.type, l.type)}</a>}</td>
                <td class="num">{money(l.amount)}</td>
                <td class="num">{money(l.balance)}</td>
                <td class="num">{String(l.position)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Sideways>
      <NextPage more={list.more} />
    </Section>
  );
}

interface Progress {
  position: bigint;
  tail: bigint;
  events: number;
}

interface Ended extends Progress {
  broken: Fold["broken"];
  rows: Compared[];
  currency: string;
}

export function Replay() {
  const speech = useSpeech();
  const { t, number, percent } = speech;
  const { over } = usePage();
  const [progress, setProgress] = useState<Progress>();
  const [ended, setEnded] = useState<Ended>();
  const [fault, setFault] = useState<Fault>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const run = async () => {
    const end = new AbortController();
    running.current = end;
    setFault(undefined);
    setEnded(undefined);
    setProgress({ position: 0n, tail: 0n, events: 0 });
    const fold = new Fold();
    let cursor: Cursor | undefined;
    let tail = 0n;
    let drawn = 0;
    try {
      for await (const m of settlement.replayEvents({}, { signal: end.signal, timeoutMs: hour })) {
        for (const e of m.events) fold.take(e);
        cursor = m.cursor ?? cursor;
        tail = m.tail;
        // Ten times a second is enough for the eye.
        if (performance.now() - drawn > 100) {
          drawn = performance.now();
          setProgress({ position: fold.position, tail, events: fold.events });
        }
      }
      const trial = await settlement.trialBalance(cursor ? { asOf: cursor } : {}, { signal: end.signal, timeoutMs: 60_000 });
      const rows = compare(await fold.sums(), trial.sums);
      setEnded({ position: fold.position, tail, events: fold.events, broken: fold.broken, rows, currency: trial.total?.currency ?? "EUR" });
    } catch (thrown) {
      const f = faultOf(thrown);
      if (f.kind !== "canceled" && !end.signal.aborted) setFault(f);
    }
    setProgress(undefined);
    running.current = undefined;
  };
  const part = progress ? used(progress.position, progress.tail) : 0;

  return (
    <>
      <PageHead title={t("replay.title")} lead={t("replay.lead")} />
      <Card>
        <div class="row">
          <Button busy={progress !== undefined} disabled={over} onClick={() => void run()} testid="replay">
            {t("replay.start")}
          </Button>
          {progress && <Button onClick={() => running.current?.abort()}>{t("replay.stop")}</Button>}
        </div>
        {progress && (
          <div class="stack tight">
            <progress max={1_000_000} value={part} aria-label={t("replay.title")} />
            <p class="num soft small">{t("replay.progress", { events: number(progress.events), part: percent(part), position: number(progress.tail) })}</p>
          </div>
        )}
        {fault && <Refused fault={fault} again={() => void run()} />}
        {ended && <Equality ended={ended} />}
      </Card>
      <Live />
    </>
  );
}

function Equality({ ended }: { ended: Ended }) {
  const speech = useSpeech();
  const { t, money, number } = speech;
  const { broken, rows, currency } = ended;
  const equal = !broken && rows.every((r) => r.equal);
  const values = { events: number(ended.events), position: number(ended.position) };
  return (
    <div class="stack" data-testid="replay-end" data-equal={equal ? "true" : "false"}>
      <Notice tone={equal ? "good" : "bad"} alert>
        <p>{equal ? t("replay.equal", values) : broken ? t(`replay.${broken.what}`, { position: number(broken.position) }) : t("replay.unequal", values)}</p>
      </Notice>
      <Sideways label={t("replay.compared")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("balance.kind")}</th>
              <th scope="col" class="num">{t("replay.here")}</th>
              <th scope="col" class="num">{t("replay.there")}</th>
              <th scope="col">{t("replay.same")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((r) => (
              <tr key={r.kind}>
                <th scope="row">{kindName(speech, r.kind)}</th>
                <td class="num">{money({ minor: r.here?.minor ?? 0n, currency })}</td>
                <td class="num">{money({ minor: r.there?.minor ?? 0n, currency })}</td>
                <td>{r.equal ? t("bids.yes") : t("replay.no")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Sideways>
      <div>
        <Button
          icon="down"
          onClick={() =>
            save(`replay-${ended.position}.csv`, [
              ["kind", "replayed_accounts", "replayed_balance", "told_accounts", "told_balance", "currency", "equal"],
              ...rows.map((r) => [
                AccountKind[r.kind] ?? String(r.kind),
                String(r.here?.accounts ?? 0),
                plain({ minor: r.here?.minor ?? 0n, currency }),
                String(r.there?.accounts ?? 0),
                plain({ minor: r.there?.minor ?? 0n, currency }),
                currency,
                String(r.equal),
              ]),
            ])
          }
        >
          {t("finance.csv")}
        </Button>
      </div>
    </div>
  );
}

const kept = 50;

/** The log from its tail on, as it comes. After a break it goes on behind the last event that was taken in. */
function Live() {
  const { t, exact, family } = useSpeech();
  const { over } = usePage();
  const reads = useReads();
  const [events, setEvents] = useState<StoredEvent[]>([]);
  const [line, setLine] = useState<"starting" | "live" | "broken">("starting");
  useEffect(() => {
    if (over) return;
    const end = new AbortController();
    void (async () => {
      let start: Cursor | undefined;
      for (let tried = 0; !start && !end.signal.aborted; tried++) {
        try {
          start = (await settlement.trialBalance({}, { signal: end.signal, timeoutMs: 60_000 })).asOf;
        } catch {
          if (end.signal.aborted) return;
          setLine("broken");
          await pause(backoff(tried, Math.random), end.signal).catch(() => undefined);
        }
      }
      if (end.signal.aborted) return;
      setLine("live");
      await follow<ReplayEventsResponse, Cursor>({
        open: (after, signal) => settlement.replayEvents({ follow: true, ...(after ? { after } : {}) }, { signal, timeoutMs: hour }),
        position: (m) => m.cursor,
        take: (m) => {
          if (m.events.length === 0) return;
          setEvents((known) => [...[...m.events].reverse(), ...known].slice(0, kept));
          reads.happened("settlement");
        },
        state: (up) => setLine(up ? "live" : "broken"),
        // Nothing is sent while nothing is settled.
        silence: hour,
        start,
        signal: end.signal,
        random: Math.random,
      });
    })();
    return () => end.abort();
  }, [over, reads]);
  return (
    <Section title={t("live.title")} more={<span class={`live ${line === "live" ? "on" : line === "broken" ? "off" : ""}`}>{t(`line.${line}`)}</span>}>
      {events.length === 0 ? (
        <p class="soft">{t("live.none")}</p>
      ) : (
        <div class="list">
          <ul class="plain" aria-label={t("live.title")}>
            {events.map((e) => (
              <li key={String(e.position)} class="item">
                <span class="title">{family("posted", e.type, e.type)}</span>
                <span class="num soft">{String(e.position)}</span>
                <span class="line">{exact(e.at)}</span>
                <span class="line mono tiny">{e.stream}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Section>
  );
}
