// A person corrects what was measured (GDPR 16): the points of a day, each with what it says and what it should say.
import { useState } from "preact/compat";
import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech } from "../i18n";
import { typed } from "../i18n/format";
import { isMobile } from "../model/mobile";
import { readPoint, withValue, written, type Listed } from "../model/point";
import { delivery } from "../net/client";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Button, Chip, Dialog, Field, Problem } from "../ui/parts";
import { amountWrong, useTyped } from "../ui/typed";
import { measureName } from "../ui/words";
import { Shown } from "./shared";

/** Mobile data is the operator's record of what it carried: it is corrected there. */
export const correctable = (schema: string): boolean => !isMobile(schema);

export function Correct({ schema, measure, day, close }: { schema: string; measure: string; day: string; close: () => void }) {
  const speech = useSpeech();
  const { t } = speech;
  const { me } = usePage();
  const read = useRead(DeliveryService.method.listPoints, { subscriberId: me.subject, schema, days: { first: day, last: day }, pageSize: 1500 });
  const [picked, setPicked] = useState<{ raw: Uint8Array; is: Listed }>();
  return (
    <Dialog open close={close} title={t("correct.title", { what: measureName(speech, measure), day: speech.day(day) })}>
      {picked ? (
        <Edit {...picked} measure={measure} back={() => setPicked(undefined)} done={close} />
      ) : (
        <Shown read={read}>
          {(list) => {
            const points = list.points.flatMap((raw) => {
              const is = readPoint(raw, measure);
              return is ? [{ raw, is }] : [];
            });
            const earlier = list.superseded.flatMap((s) => readPoint(s.point, measure) ?? []);
            return (
              <>
                <p class="soft">{points.length > 0 ? t("correct.pick") : t("correct.none")}</p>
                <ul class="plain stack tight">
                  {points.slice(0, shown).map((p) => (
                    <li key={p.is.id} class="row apart">
                      <span class="num">
                        {value(speech.number, p.is)} <span class="soft small">{p.is.from.slice(11)}</span> {p.is.stated && <Chip tone="accent">{t("correct.stated")}</Chip>}
                      </span>
                      <Button onClick={() => setPicked(p)} testid="correct-point">
                        {t("correct.act")}
                      </Button>
                    </li>
                  ))}
                </ul>
                {points.length > shown && <p class="small soft">{t("correct.many", { n: points.length - shown })}</p>}
                {earlier.length > 0 && <p class="small soft">{t("correct.earlier", { values: speech.list(earlier.map((e) => value(speech.number, e))) })}</p>}
                <div class="row">
                  <Button onClick={close}>{t("act.back")}</Button>
                </div>
              </>
            );
          }}
        </Shown>
      )}
    </Dialog>
  );
}

const shown = 100;

const value = (number: (v: number, digits?: number) => string, p: Listed): string => `${number(p.value, Number.isInteger(p.value) ? 0 : 1)} ${p.unit}`.trim();

function Edit({ raw, is, measure, back, done }: { raw: Uint8Array; is: Listed; measure: string; back: () => void; done: () => void }) {
  const speech = useSpeech();
  const { t } = speech;
  const { me, say } = usePage();
  const reads = useReads();
  const [text, setText] = useTyped(() => typed(speech.locale, BigInt(Math.round(is.value * 1e6))), (held, number) => number(held));
  const [wrong, setWrong] = useState("");
  const act = useAct(async (idempotencyKey) => {
    const said = await delivery.correctPoint({ subscriberId: me.subject, point: withValue(raw, measure, written(speech.locale, text) ?? is.value), idempotencyKey });
    reads.wrote(said.cursor);
    reads.refreshAll();
    say(said.deliveryIds.length > 0 ? t("correct.done.carried", { n: said.deliveryIds.length }) : t("correct.done"));
    done();
  });
  const save = () => {
    const to = written(speech.locale, text);
    const why = to === undefined ? amountWrong(speech, text, t("correct.number")) : to === is.value ? t("correct.same") : "";
    setWrong(why);
    if (why === "") act.go();
  };
  return (
    <>
      <Field label={t("correct.value", { was: value(speech.number, is) })} value={text} change={setText} unit={is.unit} inputMode="decimal" wrong={wrong || undefined} />
      <p class="small soft">{t("correct.text")}</p>
      {act.fault && <Problem fault={act.fault} again={act.go} />}
      <div class="choice">
        <Button onClick={back}>{t("act.back")}</Button>
        <Button onClick={save} busy={act.busy} testid="correct-save">
          {t("correct.save")}
        </Button>
      </div>
    </>
  );
}
