// The person's own history: what happened, when, by whom, each with its id and place.
import { toJson } from "@bufbuild/protobuf";
import { useState } from "preact/compat";
import { ConsentService } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import { OffersService } from "../gen/obole/offers/v1/service_pb";
import { EntrySchema, type Entry } from "../gen/obole/record/v1/record_pb";
import { SettlementService } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech } from "../i18n";
import { hex } from "../model/card";
import { download } from "../model/download";
import { entryId, merge, placeOf } from "../model/history";
import { faultOf, type Fault } from "../net/fault";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { usePaged, type Paged } from "../ui/paged";
import { Bones, Button, Card, Dialog, Empty, Facts, PageHead, Problem, Stale } from "../ui/parts";
import { LongList } from "../ui/longlist";
import { Lost } from "./lost";
import { Shown, useBuyers } from "./shared";
import { byWhom, detail, sentence } from "./tell";

const size = 200;

/** The histories of the four services. */
export function useHistories(pageSize = size): Paged<Entry>[] {
  const { me } = usePage();
  const request = { subscriberId: me.subject, pageSize };
  return [
    usePaged(ConsentService.method.listRecord, request, (a) => a.entries, entryId),
    usePaged(DeliveryService.method.listRecord, request, (a) => a.entries, entryId),
    usePaged(OffersService.method.listRecord, request, (a) => a.entries, entryId),
    usePaged(SettlementService.method.listRecord, request, (a) => a.entries, entryId),
  ];
}

export function Record({ query }: { query: URLSearchParams }) {
  const service = query.get("service");
  if (service !== "delivery" && service !== "settlement") return <All />;
  const at = placeOf(query);
  return at ? <Only service={service} partition={at.partition} position={at.position} /> : <Lost />;
}

function All() {
  const speech = useSpeech();
  const { t, moment } = speech;
  const histories = useHistories();
  const [open, setOpen] = useState<Entry>();
  const known = histories.filter((h) => h.items !== undefined);
  const merged = merge(histories.map((h) => ({ entries: h.items ?? [], more: h.more !== undefined })));
  const broken = histories.find((h) => h.error);
  const stale = histories.find((h) => h.stale);
  const buyers = useBuyers(merged.entries.map((e) => e.buyerId));
  return (
    <>
      <PageHead title={t("record.title")} lead={t("record.lead")} />
      {broken?.error && <Problem fault={broken.error} again={() => histories.forEach((h) => h.error && h.again())} />}
      {stale && <Stale at={stale.at} />}
      {known.length === 0 && !broken && <Bones tall />}
      {known.length === histories.length && merged.entries.length === 0 && (
        <Empty icon="record" title={t("record.none")}>
          {t("record.none.text")}
        </Empty>
      )}
      {merged.entries.length > 0 && (
        <>
          <Export />
          <LongList
            items={merged.entries}
            id={entryId}
            rem={5}
            label={t("record.title")}
            more={merged.next >= 0 ? histories[merged.next]?.more : undefined}
            row={(e) => (
              <button type="button" class="item" onClick={() => setOpen(e)}>
                <span class="title">{sentence(speech, e, buyers)}</span>
                <span />
                <span class="line">{[moment(e.at), byWhom(speech, e, buyers), detail(speech, e)].filter((x) => x !== "").join(" · ")}</span>
              </button>
            )}
          />
        </>
      )}
      <Dialog open={open !== undefined} close={() => setOpen(undefined)} title={open ? sentence(speech, open, buyers) : ""}>
        {open && <EntryFacts entry={open} buyers={buyers} />}
        <Button onClick={() => setOpen(undefined)}>{t("act.close")}</Button>
      </Dialog>
    </>
  );
}

function EntryFacts({ entry: e, buyers }: { entry: Entry; buyers: ReturnType<typeof useBuyers> }) {
  const speech = useSpeech();
  const { t, exact, date, price } = speech;
  const what = detail(speech, e);
  const id = (label: string, value: string) => value !== "" && ([label, <span class="mono">{value}</span>] as const);
  return (
    <Facts
      rows={[
        [t("record.when"), exact(e.at)],
        [t("record.by"), byWhom(speech, e, buyers)],
        what !== "" && [t("record.what"), what],
        e.unitPrice !== undefined && [t("offer.gross"), price(e.unitPrice)],
        e.due > 0n && [t("record.due"), date(e.due)],
        e.scope.length > 0 && [t("record.scope"), t("record.scope.n", { n: e.scope.length })],
        e.forgotten && [t("record.forgotten"), t("record.forgotten.text")],
        id(t("use.agreement"), e.agreementId),
        id(t("use.delivery"), e.deliveryId),
        id(t("record.offer"), e.offerId),
        e.cardSha256.length > 0 && [t("record.card"), <span class="hash">{hex(e.cardSha256)}</span>],
        [t("record.id"), <span class="mono">{hex(e.eventId)}</span>],
        [t("record.place"), <span class="mono">{entryId(e)}</span>],
      ]}
    />
  );
}

function Only({ service, partition, position }: { service: "delivery" | "settlement"; partition: number; position: bigint }) {
  const speech = useSpeech();
  const { t } = speech;
  const { me } = usePage();
  const method = service === "delivery" ? DeliveryService.method.listRecord : SettlementService.method.listRecord;
  const request = { subscriberId: me.subject, pageSize: 1, only: { service, partition, position } };
  const read = useRead(method as typeof DeliveryService.method.listRecord, request);
  const entry = read.data?.entries[0];
  const buyers = useBuyers(entry ? [entry.buyerId] : []);
  return (
    <>
      <PageHead title={t("record.one")} back={{ href: "/record", text: t("nav.record") }} />
      <Shown read={read}>
        {() =>
          entry ? (
            <Card>
              <h2>{sentence(speech, entry, buyers)}</h2>
              <EntryFacts entry={entry} buyers={buyers} />
            </Card>
          ) : (
            <Empty icon="record" title={t("record.one.none")} />
          )
        }
      </Shown>
    </>
  );
}

/** The whole history as a file. */
function Export() {
  const { t, number } = useSpeech();
  const { me } = usePage();
  const reads = useReads();
  const [busy, setBusy] = useState(false);
  const [got, setGot] = useState(0);
  const [fault, setFault] = useState<Fault>();
  const run = async () => {
    setBusy(true);
    setFault(undefined);
    setGot(0);
    try {
      const all: Entry[] = [];
      for (const service of [ConsentService, DeliveryService, OffersService, SettlementService]) {
        let token = "";
        do {
          const page = await reads.call(service.method.listRecord as typeof ConsentService.method.listRecord, { subscriberId: me.subject, pageSize: 1000, pageToken: token });
          all.push(...page.entries);
          token = page.nextPageToken;
          setGot(all.length);
        } while (token !== "");
      }
      const entries = merge([{ entries: all, more: false }]).entries.map((e) => toJson(EntrySchema, e));
      download("obole-record.json", [JSON.stringify({ schema: EntrySchema.typeName, subscriber: me.subject, entries }, null, 1)]);
    } catch (thrown) {
      setFault(faultOf(thrown));
    }
    setBusy(false);
  };
  return (
    <div class="stack tight">
      <div class="row">
        <Button icon="down" busy={busy} onClick={() => void run()}>
          {t("record.export")}
        </Button>
        {busy && <span class="soft small num">{number(got)}</span>}
      </div>
      {fault && <Problem fault={fault} again={() => void run()} />}
    </div>
  );
}
