// The subscriber's own mobile data: calls, messages and data use by day and by hour, and places on a plain map. It is the person's to see;
// no product has any of it.
import { useState } from "preact/compat";
import { DeliveryService, type Category, type GetPlacesResponse } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech } from "../i18n";
import { isMobile, mobile } from "../model/mobile";
import { bucketsFor, later, shiftDay, type Range } from "../model/series";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { Button, Card, Empty, Notice, PageHead, Section, Segments } from "../ui/parts";
import { Looker } from "../ui/looker";
import { schemaName } from "../ui/words";
import { Series } from "./category";
import { Hours, type HoursAs } from "./hours";
import { Places, volumeText } from "./places";
import { Shown } from "./shared";

type Span = "month" | "quarter" | "all";
const spanDays: Record<Exclude<Span, "all">, number> = { month: 31, quarter: 92 };
/** As many days as one call takes. */
const longest = 3660;

export function Mobile() {
  const { t } = useSpeech();
  const { me } = usePage();
  const summary = useRead(DeliveryService.method.getSummary, { subscriberId: me.subject });
  return (
    <>
      <PageHead title={t("mobile.title")} lead={t("mobile.lead")} back={{ href: "/data", text: t("nav.data") }} />
      <Shown read={summary} tall>
        {(s) => {
          const held = s.categories.filter((c) => isMobile(c.schema) && c.days);
          return held.length > 0 ? (
            <Held categories={held} />
          ) : (
            <Empty icon="phone" title={t("mobile.none")} act={<a class="button" href="/data">{t("nav.data")}</a>}>
              {t("mobile.none.text")}
            </Empty>
          );
        }}
      </Shown>
    </>
  );
}

const kinds = [mobile.call, mobile.message, mobile.use] as const;
type Kind = (typeof kinds)[number];

function Held({ categories }: { categories: Category[] }) {
  const speech = useSpeech();
  const { t } = speech;
  const { me } = usePage();
  const [span, setSpan] = useState<Span>("quarter");
  const first = categories.map((c) => c.days?.first ?? "").reduce((a, b) => (a < b ? a : b));
  const last = categories.map((c) => c.days?.last ?? "").reduce((a, b) => (a > b ? a : b));
  const days = { first: later(first, shiftDay(last, 1 - (span === "all" ? longest : spanDays[span]))), last };
  const places = useRead(DeliveryService.method.getPlaces, { subscriberId: me.subject, ...days });
  const having = kinds.filter((k) => categories.some((c) => c.schema === k));
  const [kind, setKind] = useState<Kind | undefined>(having[0]);
  return (
    <>
      <Segments
        label={t("category.span")}
        value={span}
        change={setSpan}
        options={[
          ["month", t("category.month")],
          ["quarter", t("category.quarter")],
          ["all", t("category.all")],
        ]}
      />
      <Shown read={places}>{(p) => <Figures places={p} days={days} has={(schema) => categories.some((c) => c.schema === schema)} />}</Shown>
      {kind && (
        <>
          <Section
            title={t("mobile.days")}
            more={having.length > 1 && <Segments label={t("mobile.which")} value={kind} change={setKind} options={having.map((k) => [k, schemaName(speech, k)] as const)} />}
          >
            <ByDay key={`${kind}${days.first}`} kind={kind} days={days} />
          </Section>
          <Section title={t("mobile.hours", { what: schemaName(speech, kind) })}>
            <ByHour kind={kind} days={days} />
          </Section>
        </>
      )}
      <Section title={t("mobile.places")}>
        <Shown read={places} tall>
          {(p) => <Places places={p} />}
        </Shown>
      </Section>
      <Notice icon="rights">
        <p>{t("mobile.private")}</p>
      </Notice>
    </>
  );
}

function Figures({ places: p, days, has }: { places: GetPlacesResponse; days: Range; has: (schema: string) => boolean }) {
  const speech = useSpeech();
  const { t, number } = speech;
  // Of what has never come nobody knows how much there was: that is no zero.
  const known = (schema: string, value: string, hint: string) => (has(schema) ? ([value, hint] as const) : (["–", t("mobile.none.of")] as const));
  const rows: (readonly [string, string, string])[] = [
    [t("mobile.calls"), ...known(mobile.call, number(p.calls), t("mobile.talked", { hours: number(Number(p.talked) / 3600, 1) }))],
    [t("mobile.messages"), ...known(mobile.message, number(p.messages), t("mobile.people", { n: p.correspondents }))],
    [t("mobile.data"), ...known(mobile.use, volumeText(speech, Number(p.data)), speech.days(days))],
    [t("mobile.cells"), number(p.places.length + p.more), t("mobile.cells.hint")],
  ];
  return (
    <dl class="figures">
      {rows.map(([name, value, hint]) => (
        <div key={name} class="card">
          <dt>{name}</dt>
          <dd class="num">{value}</dd>
          <dd class="soft tiny">{hint}</dd>
        </div>
      ))}
    </dl>
  );
}

function ByDay({ kind, days }: { kind: Kind; days: Range }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const [zoomed, setZoomed] = useState<Range>();
  const range = zoomed ?? days;
  const read = useRead(DeliveryService.method.getSeries, { subscriberId: me.subject, schema: kind, ...range, buckets: bucketsFor(range.first, range.last) });
  return (
    <>
      {zoomed && (
        <div>
          <Button kind="plain" onClick={() => setZoomed(undefined)}>
            {t("category.unzoom")}
          </Button>
        </div>
      )}
      <Looker at={range} whole={days} change={setZoomed} />
      <Shown read={read} tall>
        {(s) => <Series series={s} schema={kind} look={setZoomed} />}
      </Shown>
    </>
  );
}

function ByHour({ kind, days }: { kind: Kind; days: Range }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const [as, setAs] = useState<HoursAs>("day");
  const read = useRead(DeliveryService.method.getHours, { subscriberId: me.subject, schema: kind, ...days });
  return (
    <Shown read={read} tall>
      {(h) =>
        h.points === 0 ? (
          <Empty icon="clock" title={t("category.empty")}>
            {t("category.empty.text")}
          </Empty>
        ) : (
          <Card>
            <Hours hours={h} as={as} change={setAs} />
          </Card>
        )
      }
    </Shown>
  );
}
