// Connect a source, or drop an export file on the page. A file is kept whole or not at all; what is wrong is named by line and field.
import { useEffect, useRef, useState } from "preact/compat";
import { Route } from "../gen/obole/delivery/v1/events_pb";
import type { ImportResponse, Source } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech } from "../i18n";
import { guess, importers } from "../model/importer";
import { Fault, faultOf } from "../net/fault";
import { useReads } from "../net/reads";
import { upload } from "../net/upload";
import { usePage } from "../page";
import { Icon } from "../ui/icon";
import { Button, Card, Field, Notice, Problem, Section, Select } from "../ui/parts";
import { flawOf, flawText, importerName, schemaName } from "../ui/words";

type State = { kind: "idle" } | { kind: "sending"; sent: number } | { kind: "done"; answer: ImportResponse } | { kind: "failed"; fault: Fault };

export function Bring({ sources }: { sources: Source[] }) {
  const speech = useSpeech();
  const { t, bytes, number, days } = speech;
  const { config, over } = usePage();
  const reads = useReads();
  const [file, setFile] = useState<File>();
  const [importer, setImporter] = useState<string>(importers[0]);
  const [person, setPerson] = useState("");
  const [zone, setZone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [state, setState] = useState<State>({ kind: "idle" });
  const [over2, setOver] = useState(false);
  const stop = useRef<AbortController>(undefined);
  const picker = useRef<HTMLInputElement>(null);

  const take = (f: File | undefined) => {
    if (!f) return;
    setFile(f);
    setImporter(guess(f.name));
    setState({ kind: "idle" });
  };

  // A file may be dropped anywhere on the page.
  useEffect(() => {
    const isFile = (e: DragEvent) => e.dataTransfer?.types.includes("Files") === true;
    const drag = (e: DragEvent) => {
      if (!isFile(e)) return;
      e.preventDefault();
      setOver(true);
    };
    const leave = (e: DragEvent) => {
      if (e.relatedTarget === null) setOver(false);
    };
    const drop = (e: DragEvent) => {
      if (!isFile(e)) return;
      e.preventDefault();
      setOver(false);
      take(e.dataTransfer?.files[0]);
    };
    addEventListener("dragover", drag);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", drag);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);

  const send = async () => {
    if (!file || state.kind === "sending") return;
    if (config.maxImportBytes > 0 && file.size > config.maxImportBytes) {
      setState({ kind: "failed", fault: new Fault("invalid", "MESSAGE_TOO_LARGE", t("bring.large", { most: bytes(config.maxImportBytes) })) });
      return;
    }
    setState({ kind: "sending", sent: 0 });
    stop.current = new AbortController();
    try {
      const source = sources.find((s) => s.importer === importer && s.route === Route.GDPR_20)?.sourceId;
      const from = source ? { source } : { importer };
      const answer = await upload({ from, file, zone, person: person.trim(), progress: (sent) => setState({ kind: "sending", sent }), signal: stop.current.signal });
      setState({ kind: "done", answer });
      reads.wrote(answer.cursor);
      reads.happened("offers");
    } catch (thrown) {
      const fault = faultOf(thrown);
      setState(fault.kind === "canceled" ? { kind: "idle" } : { kind: "failed", fault });
    }
  };

  const busy = state.kind === "sending";
  const noZone = state.kind === "failed" && state.fault.reason === "" && flawOf(state.fault).field === "zone";
  return (
    <Section title={t("bring.title")}>
      <Card>
        <p class="soft">{t("bring.text")}</p>
        <div class={`drop${over2 ? " over" : ""}`}>
          <Icon name="file" />
          <p>{file ? `${file.name} (${bytes(file.size)})` : t("bring.drop")}</p>
          <input
            ref={picker}
            class="unseen"
            type="file"
            tabIndex={-1}
            aria-label={t("bring.pick")}
            accept=".csv,.json,.jsonl,.zip,text/csv,application/json"
            data-testid="import-file"
            onChange={(e) => take(e.currentTarget.files?.[0])}
          />
          <Button onClick={() => picker.current?.click()} disabled={busy}>
            {file ? t("bring.other") : t("bring.pick")}
          </Button>
        </div>
        {file && (
          <>
            <Select label={t("bring.importer")} value={importer} change={setImporter} options={importers.map((i) => [i, importerName(speech, i)] as const)} />
            <Field label={t("bring.zone")} hint={t("bring.zone.hint")} value={zone} change={setZone} wrong={noZone ? t("bring.zone.wrong") : undefined} autoComplete="off" />
            {importer === "fitabase-csv" && <Field label={t("bring.person")} hint={t("bring.person.hint")} value={person} change={setPerson} autoComplete="off" />}
            <div class="row">
              <Button kind="main" icon="file" busy={busy} disabled={over} onClick={() => void send()} testid="import">
                {t("bring.send")}
              </Button>
              {busy && <Button onClick={() => stop.current?.abort()}>{t("act.cancel")}</Button>}
            </div>
          </>
        )}
        {state.kind === "sending" && file && (
          <div class="stack tight">
            <progress max={file.size} value={state.sent} aria-label={t("bring.sending")} />
            <p class="soft small" role="status">
              {state.sent < file.size ? t("bring.sent", { sent: bytes(state.sent), all: bytes(file.size) }) : t("bring.reading")}
            </p>
          </div>
        )}
        {state.kind === "done" && state.answer.arrivals.length === 0 && state.answer.repeatedPoints === 0 && (
          <Notice tone="warn">
            <p role="status" data-testid="import-nothing">
              {t("bring.nothing")}
            </p>
          </Notice>
        )}
        {state.kind === "done" && (state.answer.arrivals.length > 0 || state.answer.repeatedPoints > 0) && (
          <Notice tone="good">
            <p role="status" data-testid="imported">
              <strong>{t("bring.done")}</strong>
            </p>
            <ul>
              {state.answer.arrivals.map((a) => (
                <li key={a.schema}>
                  {speech.pair(schemaName(speech, a.schema), number(a.points))} {a.days ? `(${days(a.days)})` : ""}
                </li>
              ))}
            </ul>
            {state.answer.repeatedPoints > 0 && <p>{t("bring.repeated", { n: state.answer.repeatedPoints })}</p>}
          </Notice>
        )}
        {state.kind === "failed" && !noZone && <Failed fault={state.fault} again={() => void send()} />}
      </Card>
    </Section>
  );
}

function Failed({ fault, again }: { fault: Fault; again: () => void }) {
  const speech = useSpeech();
  const { t } = speech;
  if (fault.reason !== "ROW_INVALID") return <Problem fault={fault} again={again} />;
  return (
    <Notice tone="bad" alert>
      <p data-testid="import-error">
        <strong>{t("bring.row", { line: fault.fact("line") ?? "?" })}</strong> {flawText(speech, fault)}
      </p>
      <p>{t("bring.row.nothing")}</p>
    </Notice>
  );
}
