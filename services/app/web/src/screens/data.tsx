// My data: everything held, where it came from, what it is; bring more, take all of it along. Nothing here needs an offer.
import { DeliveryService, type Category } from "../gen/obole/delivery/v1/service_pb";
import { useState } from "preact/compat";
import { useSpeech } from "../i18n";
import { delivery } from "../net/client";
import { faultOf, type Fault } from "../net/fault";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { isMobile } from "../model/mobile";
import { download } from "../model/download";
import type { IconName } from "../ui/icon";
import { Icon } from "../ui/icon";
import { Button, Card, Empty, PageHead, Problem, Section } from "../ui/parts";
import { schemaName } from "../ui/words";
import { Bring } from "./bring";
import { NotEligible } from "./home";
import { JoinFirst, Shown, useAccount } from "./shared";
import { OneSource } from "./source";

export function schemaIcon(schema: string): IconName {
  if (/step|activity|calories/.test(schema)) return "steps";
  if (/sleep|bed/.test(schema)) return "sleep";
  if (/weight/.test(schema)) return "weight";
  if (/heart/.test(schema)) return "heart";
  if (/call|message|cell|usage|data-use|phone|mobility|traffic/.test(schema)) return "phone";
  return "data";
}

export function Data() {
  const { t } = useSpeech();
  const { me } = usePage();
  const summary = useRead(DeliveryService.method.getSummary, { subscriberId: me.subject });
  const sources = useRead(DeliveryService.method.listSources, { subscriberId: me.subject, pageSize: 1000 });
  const account = useAccount().data;
  const stranger = account !== undefined && account.account === undefined;
  const closed = (account?.account?.closedAt ?? 0n) > 0n;
  return (
    <>
      <PageHead title={t("data.title")} lead={t("data.lead")} />
      {closed && <NotEligible />}
      {summary.data?.categories.some((c) => isMobile(c.schema)) && (
        <a class="card mobile-way" href="/data/mobile">
          <Icon name="phone" />
          <span>
            <strong>{t("mobile.title")}</strong>
            <span class="soft small">{t("mobile.way")}</span>
          </span>
          <Icon name="next" />
        </a>
      )}
      <Shown read={summary} tall>
        {(s) =>
          s.categories.length === 0 ? (
            <Empty icon="data" title={t("data.none")}>
              {stranger || closed ? "" : t("data.none.text")}
            </Empty>
          ) : (
            <ul class="plain tiles" aria-label={t("data.categories")}>
              {s.categories.map((c) => (
                <li key={c.schema}>
                  <Tile category={c} />
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
      {stranger ? <JoinFirst /> : closed ? null : <Bring sources={sources.data?.sources ?? []} />}
      <Section title={t("data.sources")}>
        <Shown read={sources}>
          {(s) =>
            s.sources.length === 0 ? (
              <p class="soft">{t("data.sources.none")}</p>
            ) : (
              <ul class="plain stack">
                {s.sources.map((x) => (
                  <li key={x.sourceId}>
                    <OneSource source={x} />
                  </li>
                ))}
              </ul>
            )
          }
        </Shown>
      </Section>
      <Section title={t("data.export")}>
        <Card>
          <p class="soft">{t("data.export.text")}</p>
          <ExportAll categories={summary.data?.categories ?? []} />
        </Card>
      </Section>
    </>
  );
}

function Tile({ category: c }: { category: Category }) {
  const speech = useSpeech();
  const { t, number, days } = speech;
  return (
    <a class="card tile" href={`/data/${encodeURIComponent(c.schema)}`}>
      <Icon name={schemaIcon(c.schema)} />
      <h2>{schemaName(speech, c.schema)}</h2>
      <p class="soft small">
        {t("data.points", { n: Number(c.points), points: number(c.points) })}
        <br />
        {days(c.days)}
      </p>
    </a>
  );
}

/** Everything as one JSON file, streamed piece by piece: what is held, the points, those that were corrected, and the JSON Schemas of all. */
function ExportAll({ categories }: { categories: Category[] }) {
  const { t, number } = useSpeech();
  const { me } = usePage();
  const [sent, setSent] = useState<bigint>();
  const [fault, setFault] = useState<Fault>();
  const [done, setDone] = useState(false);
  const run = async () => {
    setFault(undefined);
    setDone(false);
    setSent(0n);
    try {
      const text = new TextDecoder();
      const head = {
        format: "obole export 2",
        subscriber: me.subject,
        exported_at: new Date().toISOString(),
        held: categories.map((c) => ({ id: c.schema, quantities: c.quantities.map((q) => ({ measure: q.measure, unit: q.unit })), points: Number(c.points) })),
      };
      const pieces: BlobPart[] = [`${JSON.stringify(head).slice(0, -1)},"points":{`];
      let schema = "";
      let whole = false;
      const superseded: string[] = [];
      const documents: string[] = [];
      for await (const m of delivery.exportPoints({ subscriberId: me.subject }, { timeoutMs: 600_000 })) {
        if (m.points.length > 0) {
          if (m.schema !== schema) pieces.push(schema === "" ? "" : "],", `${JSON.stringify(m.schema)}:[`);
          else pieces.push(",");
          schema = m.schema;
          pieces.push(m.points.map((p) => text.decode(p)).join(",\n"));
        }
        for (const c of m.superseded) superseded.push(`{"by":${JSON.stringify(c.by)},"point":${text.decode(c.point)}}`);
        for (const d of m.schemas) documents.push(`{"uri":${JSON.stringify(d.uri)},"schema":${JSON.stringify(d.schema)},"document":${text.decode(d.document)}}`);
        setSent(m.sent);
        whole = m.last;
      }
      if (!whole) throw new Error("the export ended before it was whole");
      pieces.push(schema === "" ? "}" : "]}", `,"superseded":[${superseded.join(",\n")}],"schemas":[${documents.join(",\n")}]}`);
      download("obole-data.json", pieces);
      setDone(true);
    } catch (thrown) {
      setFault(faultOf(thrown));
    }
    setSent(undefined);
  };
  return (
    <>
      <div class="row">
        <Button icon="down" busy={sent !== undefined} onClick={() => void run()}>
          {t("data.export.act")}
        </Button>
        <span class="soft small" role="status">
          {sent !== undefined ? t("data.points", { n: Number(sent), points: number(sent) }) : done ? t("data.export.done") : ""}
        </span>
      </div>
      {fault && <Problem fault={fault} again={() => void run()} />}
    </>
  );
}
