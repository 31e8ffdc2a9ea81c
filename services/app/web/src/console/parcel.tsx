// One delivery of a buyer's: it is fetched, signed for and opened here, with a key file that this page reads and does not keep.
import { useEffect, useRef, useState } from "preact/compat";
import { DeliveryService, DeliveryState, type Delivery } from "../gen/obole/delivery/v1/service_pb";
import { OffersService } from "../gen/obole/offers/v1/service_pb";
import { EndReason } from "../gen/obole/delivery/v1/events_pb";
import { useSpeech } from "../i18n";
import { hex } from "../model/card";
import { download } from "../model/download";
import { ParcelError, readKeys, type Keys } from "../model/parcel";
import { columns, mismatch } from "../model/rowschema";
import { delivery } from "../net/client";
import { faultOf, type Fault } from "../net/fault";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { Bones, Button, Card, Empty, Facts, Notice, PageHead, Section } from "../ui/parts";
import { RowTable } from "../ui/rowtable";
import { fieldName, productName, purposeName, rungName } from "../ui/words";
import { line, order, StateChip } from "./deliveries";
import { check, fitting, receive, type Received, type Stage } from "./receive";
import { Refused } from "./shared";

/** A key file is some hundred bytes; what is larger is none. */
const mostKeyFile = 64 << 10;

interface Found {
  /** Undefined where the buyer has no such delivery. */
  delivery?: Delivery;
  fault?: Fault;
}

/** Looks for a delivery among the buyer's own. */
function useDelivery(id: string): [found: Found | undefined, again: () => void] {
  const { me } = usePage();
  const reads = useReads();
  const [found, setFound] = useState<Found>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    const end = new AbortController();
    const look = async () => {
      let pageToken = "";
      do {
        const page = await reads.call(DeliveryService.method.listDeliveries, { buyerId: me.subject, pageSize: 1000, pageToken }, end.signal);
        const it = page.deliveries.find((d) => d.deliveryId === id);
        if (it) return setFound({ delivery: it });
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      setFound({});
    };
    look().catch((thrown: unknown) => {
      if (!end.signal.aborted) setFound((known) => ({ ...known, fault: faultOf(thrown) }));
    });
    return () => end.abort();
  }, [id, me.subject, round]);
  return [found, () => setRound(round + 1)];
}

export function Parcel({ id }: { id: string }) {
  const speech = useSpeech();
  const { t, bytes, moment, family } = speech;
  const { me } = usePage();
  const [found, again] = useDelivery(id);
  const buyer = useRead(OffersService.method.getBuyer, { buyerId: me.subject });
  const d = found?.delivery;
  const open = d?.state === DeliveryState.PREPARED || d?.state === DeliveryState.RECEIPTED || d?.state === DeliveryState.RELEASED;
  const fits = d ? fitting(d, buyer.data?.buyer?.keys ?? []) : [];
  return (
    <>
      <PageHead title={t("parcel.title")} lead={t("parcel.lead")} back={{ href: "/console/deliveries", text: t("deliveries.all") }} />
      {!found && <Bones tall />}
      {found?.fault && <Refused fault={found.fault} again={again} />}
      {found && !d && !found.fault && <Empty icon="down" title={t("parcel.none")} />}
      {d && (
        <Card>
          <div class="row apart">
            <h2>{productName(speech, d.product?.id ?? "")}</h2>
            <StateChip state={d.state} />
          </div>
          <p>{line(speech, d)}</p>
          {d.deletion && (
            <Notice tone={order(speech, d, Date.now())?.late ? "bad" : "warn"}>
              <p>{t("parcel.delete", { when: moment(d.deletion.due), why: family("endreason", EndReason[d.deletion.reason], EndReason[d.deletion.reason]) })}</p>
            </Notice>
          )}
          <Facts
            rows={[
              [t("parcel.size"), bytes(Number(d.bytes))],
              [t("parcel.prepared"), moment(d.preparedAt)],
              d.releasedAt > 0n && [t("parcel.released"), moment(d.releasedAt)],
              [t("parcel.key"), <span class="mono">{fits.join(" → ")}</span>],
              [t("parcel.digest"), <span class="hash">{hex(d.digest)}</span>],
              [t("parcel.id"), <span class="mono">{d.deliveryId}</span>],
            ]}
          />
        </Card>
      )}
      {d && !open && (
        <Notice tone="bad">
          <p>{d.state === DeliveryState.LAPSED ? t("parcel.lapsed") : t("parcel.blocked")}</p>
        </Notice>
      )}
      {d && open && (buyer.data || buyer.error) && <Opener d={d} fits={fits} again={again} />}
    </>
  );
}

interface Held {
  file: string;
  keys: Keys;
}

function Opener({ d, fits, again }: { d: Delivery; fits: readonly string[]; again: () => void }) {
  const { t, bytes } = useSpeech();
  const { me, over } = usePage();
  const reads = useReads();
  const picker = useRef<HTMLInputElement>(null);
  const running = useRef<AbortController>(undefined);
  // The keys live here and nowhere else: they are gone when this screen is.
  const [held, setHeld] = useState<Held>();
  const [stage, setStage] = useState<Stage>();
  const [got, setGot] = useState<Received>();
  const [problem, setProblem] = useState<ParcelError | Fault>();
  useEffect(() => () => running.current?.abort(), []);

  const failed = (thrown: unknown) => setProblem(thrown instanceof ParcelError ? thrown : faultOf(thrown));
  const take = async (file: File | undefined) => {
    if (!file) return;
    setHeld(undefined);
    setProblem(undefined);
    try {
      if (file.size > mostKeyFile) throw new ParcelError("keyfile");
      const keys = await readKeys(await file.text());
      check(fits, me.subject, keys);
      setHeld({ file: file.name, keys });
    } catch (thrown) {
      failed(thrown);
    }
  };
  const go = async () => {
    if (!held || stage) return;
    const end = new AbortController();
    running.current = end;
    setProblem(undefined);
    try {
      const received = await receive(delivery, me.subject, d, fits, held.keys, setStage, end.signal);
      if (end.signal.aborted) return;
      setGot(received);
      reads.wrote(received.cursor);
      reads.refresh("settlement");
      again();
    } catch (thrown) {
      if (!end.signal.aborted) failed(thrown);
    }
    setStage(undefined);
  };

  if (got) return <Rows d={d} got={got} />;
  return (
    <Section title={t("parcel.open")}>
      <Card>
        <p>{t("parcel.what")}</p>
        <ol class="steps stack tight">
          <li>{t("parcel.step.fetch")}</li>
          <li>{t(d.state === DeliveryState.RELEASED ? "parcel.step.again" : "parcel.step.sign")}</li>
          <li>{t("parcel.step.open")}</li>
        </ol>
        <p class="soft small">{t("parcel.never")}</p>
        <div class="row">
          <input
            ref={picker}
            class="unseen"
            type="file"
            tabIndex={-1}
            aria-label={t("parcel.pick")}
            data-testid="key-file"
            onChange={(e) => {
              const input = e.currentTarget;
              void take(input.files?.[0]).then(() => (input.value = ""));
            }}
          />
          <Button onClick={() => picker.current?.click()} disabled={stage !== undefined}>
            {held ? t("parcel.pick.other") : t("parcel.pick")}
          </Button>
          <Button kind="main" busy={stage !== undefined} disabled={over || !held} onClick={() => void go()} testid="open-package">
            {t(d.state === DeliveryState.RELEASED ? "parcel.go.again" : "parcel.go")}
          </Button>
        </div>
        <p class="small" role="status">
          {held ? t("parcel.held", { file: held.file, key: held.keys.id }) : t("parcel.held.none")}
        </p>
        {stage && (
          <div class="stack tight">
            <progress max={Number(d.bytes)} value={stage.at === "fetching" ? stage.bytes : Number(d.bytes)} aria-label={t("parcel.open")} />
            <p class="num soft small" role="status">
              {stage.at === "fetching" ? t("parcel.fetching", { some: bytes(stage.bytes), all: bytes(Number(d.bytes)) }) : t(`parcel.${stage.at}`)}
            </p>
          </div>
        )}
        {problem && <Why problem={problem} again={held ? () => void go() : undefined} />}
      </Card>
    </Section>
  );
}

/** Why it did not come, and what to do. */
function Why({ problem, again }: { problem: ParcelError | Fault; again: (() => void) | undefined }) {
  const { t } = useSpeech();
  if (problem instanceof ParcelError)
    return (
      <Notice tone="bad" alert>
        <p data-testid="parcel-wrong">{t(`parcel.wrong.${problem.wrong}`, problem.about)}</p>
      </Notice>
    );
  return (
    <>
      <Refused fault={problem} again={again} />
      {problem.kind === "refused" && <p class="soft small">{t("parcel.kept")}</p>}
    </>
  );
}

/** The rows, as a table and as files. */
function Rows({ d, got }: { d: Delivery; got: Received }) {
  const speech = useSpeech();
  const { t, number, list } = speech;
  const { manifest: m, rows } = got;
  const names = columns(m.schema);
  const bad = mismatch(m.schema, rows);
  const field = (f: string) => {
    const [id = "", rung = ""] = f.split(":");
    return `${fieldName(speech, m.product, id)} (${rungName(speech, m.product, id, rung)})`;
  };
  const cell = (row: number, column: number): string => {
    const value = rows[row]?.[names[column] ?? ""];
    return value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value);
  };
  return (
    <Section title={t("parcel.rows", { n: rows.length })}>
      <div data-testid="parcel-opened" class="stack">
        <Notice tone={bad ? "bad" : "good"} alert>
          <p>{bad ? (bad.row === 0 ? t("parcel.schema.unknown", { word: bad.field }) : t("parcel.schema.bad", { row: number(bad.row), field: bad.field })) : t("parcel.schema.good", { n: rows.length })}</p>
        </Notice>
        <Card>
          <Facts
            rows={[
              [t("parcel.purpose"), purposeName(speech, m.purpose)],
              [t("parcel.fields"), list(m.fields.map(field))],
              [t("parcel.retention"), t("days", { n: m.retention_days })],
              [t("parcel.recipients"), m.recipients && m.recipients.length > 0 ? list(m.recipients) : t("parcel.nobody")],
            ]}
          />
          <div class="row">
            <Button icon="down" onClick={() => download(`${d.deliveryId}.ndjson`, [got.lines], "application/x-ndjson")} testid="save-rows">
              {t("parcel.save")}
            </Button>
            <Button icon="down" onClick={() => download(`${d.deliveryId}.manifest.json`, [got.head])}>
              {t("parcel.save.manifest")}
            </Button>
          </div>
          <p class="soft small">{t("parcel.saved")}</p>
        </Card>
        <RowTable label={t("parcel.rows", { n: rows.length })} columns={names} count={rows.length} cell={cell} />
      </div>
    </Section>
  );
}
