// Joining: three short screens, then the little that is asked.
import { useState } from "preact/compat";
import { AssuranceLevel } from "../gen/obole/consent/v1/events_pb";
import { useSpeech } from "../i18n";
import { consent } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { remember, remembered } from "../remember";
import { useAct } from "../ui/act";
import { Button, Card, Field, PageHead, Problem, Select } from "../ui/parts";
import { Explain } from "./explain";

export function Join() {
  const { t, language, country } = useSpeech();
  const { config, over, say } = usePage();
  const { me } = usePage();
  const reads = useReads();
  const [explained, setExplained] = useState(remembered("welcomed") === "yes"); // who has read it before signing in need not again
  const countries = [...new Set([config.operator.country, ...config.authorities.map((a) => a.country)])].filter((c) => c !== "");
  const [land, setLand] = useState(config.operator.country || countries[0] || "BE");
  const [born, setBorn] = useState("");
  const act = useAct(async (idempotencyKey) => {
    const said = await consent.enrol({ subscriberId: me.subject, country: land, language, birthDate: born, level: AssuranceLevel.DECLARED, idempotencyKey });
    reads.wrote(said.cursor);
    reads.refreshAll();
    say(t("join.done"));
  });
  if (!explained)
    return (
      <Explain
        done={() => {
          remember("welcomed", "yes");
          setExplained(true);
        }}
        last={t("join.go")}
      />
    );
  return (
    <>
      <PageHead title={t("join.title")} lead={t("join.lead")} />
      <form
        class="card"
        onSubmit={(e) => {
          e.preventDefault();
          act.go();
        }}
      >
        <Select label={t("join.country")} hint={t("join.country.hint")} value={land} change={setLand} options={countries.map((c) => [c, country(c)] as const)} />
        <Field label={t("join.born")} hint={t("join.born.hint")} kind="date" value={born} change={setBorn} min="1900-01-01" max={new Date().toISOString().slice(0, 10)} autoComplete="bday" />
        {act.fault && <Problem fault={act.fault} />}
        <div class="row">
          <Button type="submit" kind="main" busy={act.busy} disabled={over}>
            {t("join.act")}
          </Button>
        </div>
      </form>
      <Card tone="flat">
        <p class="soft small">{t("join.free")}</p>
      </Card>
    </>
  );
}
