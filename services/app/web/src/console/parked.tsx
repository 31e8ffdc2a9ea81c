// What a reaction has set aside, and handling it again. An event that fails is parked with those that must wait for it, and stays until somebody has
// mended what was wrong and says so here.
import type { Client } from "@connectrpc/connect";
import type { LogService, Parked as Stream } from "../gen/obole/log/v1/service_pb";
import { useSpeech } from "../i18n";
import { usePage } from "../page";
import { Facts } from "../ui/parts";
import { Decision } from "./decision";

interface Props {
  log: Client<typeof LogService>;
  parked: Stream[];
  /** Whether there are more than these. */
  more: boolean;
  /** Asks anew how the service stands. */
  again: () => void;
}

export function Parked({ log, parked, more, again }: Props) {
  const { t } = useSpeech();
  const { me } = usePage();
  if (parked.length === 0) return null;
  return (
    <div class="list">
      <ul class="plain" aria-label={t("services.parked")}>
        {parked.map((p) => (
          <li key={`${p.reaction} ${p.topic} ${p.stream}`} class="stack tight item-like">
            <Told parked={p} />
            {me.roles.includes("operator") && <Redrive log={log} parked={p} again={again} />}
          </li>
        ))}
      </ul>
      {more && <p class="soft small">{t("redrive.more", { n: parked.length })}</p>}
    </div>
  );
}

function Told({ parked: p }: { parked: Stream }) {
  const { t, moment, number } = useSpeech();
  return (
    <Facts
      rows={[
        [t("redrive.reaction"), <strong>{p.reaction}</strong>],
        [t("redrive.event"), `${p.type}, ${p.topic} ${p.partition}/${number(p.position)}`],
        [t("services.why"), p.reason],
        [t("redrive.behind"), t("services.waiting", { n: Number(p.waiting) })],
        [t("redrive.since"), moment(p.parkedAt)],
        [t("redrive.stream"), <span class="mono tiny">{p.stream}</span>],
      ]}
    />
  );
}

/** One stream handled again. */
function Redrive({ log, parked: p, again }: Omit<Props, "parked" | "more"> & { parked: Stream }) {
  const { t } = useSpeech();
  const act = async () => {
    const { handled, left } = await log.redrive({ reaction: p.reaction, topic: p.topic, stream: p.stream }, { timeoutMs: 60_000 });
    again();
    const n = Number(handled);
    return left > 0n ? t("redrive.left", { n, left: Number(left) }) : t("redrive.done", { n });
  };
  return (
    <div>
      <Decision
        name={t("redrive.act")}
        label={t("redrive.of", { reaction: p.reaction, type: p.type })}
        title={t("redrive.ask")}
        text={t("redrive.text", { n: Number(p.waiting) + 1 })}
        act={act}
        testid="redrive"
      >
        {() => <Told parked={p} />}
      </Decision>
    </div>
  );
}
