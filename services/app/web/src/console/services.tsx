// How the services stand: what works, how far each log is published and read, what was set aside, and which deliveries were stopped and why.
import { createClient } from "@connectrpc/connect";
import { useEffect, useState } from "preact/compat";
import { DeliveryService, DeliveryState } from "../gen/obole/delivery/v1/service_pb";
import { Reason } from "../gen/obole/delivery/v1/events_pb";
import { LogService, type GetStatusResponse, type Parked as Stream } from "../gen/obole/log/v1/service_pb";
import { useSpeech } from "../i18n";
import { healthOf } from "../model/status";
import { transportTo } from "../net/client";
import { faultOf, type Fault } from "../net/fault";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { Shown } from "../screens/shared";
import { Bones, Card, Chip, Empty, Facts, More, PageHead, Problem, Section } from "../ui/parts";
import { Sideways } from "../ui/sideways";
import { Parked } from "./parked";
import { refusal } from "./shared";

const names = ["offers", "consent", "delivery", "settlement"] as const;
type Name = (typeof names)[number];
const logs = Object.fromEntries(names.map((n) => [n, createClient(LogService, transportTo(`/rpc/at/${n}`))])) as Record<Name, ReturnType<typeof createClient<typeof LogService>>>;

interface Seen {
  status?: GetStatusResponse;
  parked: Stream[];
  /** Whether more is set aside than `parked` holds. */
  more: boolean;
  /** Why there is no newer one. */
  fault?: Fault;
}

/** Asks a service how it stands, and again every ten seconds while the page is looked at. */
function useStatus(name: Name): [seen: Seen | undefined, again: () => void] {
  const { over } = usePage();
  const [seen, setSeen] = useState<Seen>();
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (over) return;
    const end = new AbortController();
    const ask = async () => {
      try {
        const status = await logs[name].getStatus({}, { signal: end.signal });
        const aside = status.parked.length > 0 ? await logs[name].listParked({ pageSize: 100 }, { signal: end.signal }) : undefined;
        setSeen({ status, parked: aside?.parked ?? [], more: (aside?.nextPageToken ?? "") !== "" });
      } catch (thrown) {
        if (!end.signal.aborted) setSeen((known) => ({ parked: [], more: false, ...known, fault: faultOf(thrown) }));
      }
    };
    void ask();
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && navigator.onLine) void ask();
    }, 10_000);
    return () => {
      clearInterval(timer);
      end.abort();
    };
  }, [name, over, round]);
  return [seen, () => setRound(round + 1)];
}

const tones = { well: "good", slow: "warn", down: "bad" } as const;

export function Services() {
  const { t } = useSpeech();
  return (
    <>
      <PageHead title={t("services.title")} lead={t("services.lead")} />
      {names.map((n) => (
        <Service key={n} name={n} />
      ))}
      <Stopped />
    </>
  );
}

function Service({ name }: { name: Name }) {
  const { t, number, exact } = useSpeech();
  const [seen, again] = useStatus(name);
  const title = t(`services.${name}`);
  if (!seen) return <Bones />;
  const health = seen.status && healthOf(seen.status);
  const count = (n: bigint | undefined) => (n === undefined ? t("services.unknown") : number(n));
  return (
    <Section title={title} more={health && !seen.fault ? <Chip tone={tones[health.state]}>{t(`services.${health.state}`)}</Chip> : <Chip tone="bad">{t("services.away")}</Chip>}>
      <Card>
        {seen.fault && <Problem fault={seen.fault} again={again} alert={false} />}
        {health && seen.status && (
          <>
            <Facts
              rows={[
                [t("services.broken"), health.broken.length === 0 ? t("services.broken.none") : health.broken.join(", ")],
                [t("services.tail"), number(seen.status.partitions.reduce((sum, p) => sum + p.tail, 0n))],
                [t("services.unpublished"), count(health.unpublished)],
                [t("services.behind"), count(health.readers[0] ? health.readers[0].behind : 0n)],
                [t("services.parked"), number(health.parked)],
                [t("services.at"), exact(seen.status.at)],
              ]}
            />
            <More title={t("services.readers")}>
              <Sideways label={`${title}: ${t("services.readers")}`}>
                <table>
                  <thead>
                    <tr>
                      <th scope="col">{t("services.reader")}</th>
                      <th scope="col">{t("services.topic")}</th>
                      <th scope="col" class="num">{t("services.behind")}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {health.readers.map((r) => (
                      <tr key={`${r.name} ${r.topic}`}>
                        <th scope="row">{r.name}</th>
                        <td>{r.topic || t("services.own")}</td>
                        <td class="num">{count(r.behind)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Sideways>
            </More>
            <Parked log={logs[name]} parked={seen.parked} more={seen.more} again={again} />
          </>
        )}
      </Card>
    </Section>
  );
}

/** Deliveries by where they stand, and what stopped them. */
function Stopped() {
  const speech = useSpeech();
  const { t, family, number, moment, pair } = speech;
  const counts = useRead(DeliveryService.method.countDeliveries, {});
  return (
    <Section title={t("services.deliveries")}>
      <Shown read={counts}>
        {(c) =>
          c.counts.length === 0 ? (
            <Empty icon="down" title={t("deliveries.none")} />
          ) : (
            <Sideways label={pair(t("services.deliveries"), t("category.as.table"))}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t("deliveries.state")}</th>
                    <th scope="col">{t("services.why")}</th>
                    <th scope="col" class="num">{t("services.count")}</th>
                    <th scope="col">{t("services.newest")}</th>
                  </tr>
                </thead>
                <tbody>
                  {c.counts.map((x) => (
                    <tr key={`${x.state} ${x.blocked}`}>
                      <th scope="row">{family("delivery", DeliveryState[x.state], DeliveryState[x.state])}</th>
                      <td>{x.blocked === Reason.UNSPECIFIED ? "–" : refusal(speech, Reason[x.blocked])}</td>
                      <td class="num">{number(x.deliveries)}</td>
                      <td>{moment(x.newestAt)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </Sideways>
          )
        }
      </Shown>
    </Section>
  );
}
