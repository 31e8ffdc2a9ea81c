// One source: what it is, what came, and what its person may do about it. Each act is undone as easily as it is done.
import { Route } from "../gen/obole/delivery/v1/events_pb";
import type { Source } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech } from "../i18n";
import { delivery } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Button, Card, Chip, Facts, Problem } from "../ui/parts";
import { importerName, schemaName } from "../ui/words";

export function OneSource({ source: x }: { source: Source }) {
  const speech = useSpeech();
  const { t, moment, date, family } = speech;
  const { me, say } = usePage();
  const reads = useReads();
  const restricted = x.restrictedAt > 0n;
  const away = x.disconnectedAt > 0n;
  const turn = useAct(async (idempotencyKey) => {
    const ask = { subscriberId: me.subject, sourceId: x.sourceId, idempotencyKey };
    const said = restricted ? await delivery.liftRestriction(ask) : await delivery.restrictSource(ask);
    reads.wrote(said.cursor);
    reads.refreshAll();
    say(restricted ? t("source.lifted") : t("source.restricted.done"));
  });
  const plug = useAct(async (idempotencyKey) => {
    const ask = { subscriberId: me.subject, sourceId: x.sourceId, idempotencyKey };
    const said = away ? await delivery.reconnectSource(ask) : await delivery.disconnectSource(ask);
    reads.wrote(said.cursor);
    reads.refreshAll();
    say(away ? t("source.reconnected") : t("source.disconnected.done"));
  });
  return (
    <Card tone="flat">
      <div class="row apart">
        <h3>{importerName(speech, x.importer)}</h3>
        <span class="chips">
          {restricted && <Chip tone="warn">{t("source.restricted")}</Chip>}
          {away && <Chip tone="warn">{t("source.disconnected")}</Chip>}
        </span>
      </div>
      <p>{family("source", x.importer, t("source.other"))}</p>
      <Facts
        rows={[
          [t("source.route"), family("route", Route[x.route] ?? "", "–")],
          [t("source.connected"), date(x.connectedAt)],
          [t("source.last"), x.importedAt > 0n ? moment(x.importedAt) : t("source.never")],
          x.arrivals.length > 0 && [t("source.what"), x.arrivals.map((a) => schemaName(speech, a.schema)).join(", ")],
          restricted && [t("source.restricted"), t("source.since", { when: moment(x.restrictedAt) })],
          away && [t("source.disconnected"), t("source.since", { when: moment(x.disconnectedAt) })],
        ]}
      />
      <p class="small soft">
        {restricted ? t("source.lift.text") : t("source.restrict.text")} {away ? t("source.reconnect.text") : t("source.disconnect.text")}
      </p>
      {turn.fault && <Problem fault={turn.fault} again={turn.go} />}
      {plug.fault && <Problem fault={plug.fault} again={plug.go} />}
      <div class="row">
        <Button onClick={turn.go} busy={turn.busy} testid="source-turn">
          {restricted ? t("source.lift") : t("source.restrict")}
        </Button>
        <Button onClick={plug.go} busy={plug.busy} testid="source-plug">
          {away ? t("source.reconnect") : t("source.disconnect")}
        </Button>
      </div>
    </Card>
  );
}
