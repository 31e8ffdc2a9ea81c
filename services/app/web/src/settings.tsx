import { useState } from "preact/compat";
import { languages, useSpeech, type Language } from "./i18n";
import { Fault, faultOf } from "./net/fault";
import { usePage, type Speak } from "./page";
import { remember, remembered } from "./remember";
import { Button, Dialog, Problem, Segments } from "./ui/parts";
import { callName } from "./ui/words";

const names: Record<Language, string> = { en: "English", fr: "Français", es: "Español" };
type Theme = "system" | "light" | "dark";

function chosenTheme(): Theme {
  const theme = remembered("theme");
  return theme === "light" || theme === "dark" ? theme : "system";
}

/** One of the languages there are. */
export function LanguageChoice({ speak }: { speak: Speak }) {
  const { t, language } = useSpeech();
  const [missing, setMissing] = useState<Language>();
  const choose = (l: Language) => {
    setMissing(undefined);
    speak(l).catch(() => setMissing(l));
  };
  return (
    <>
      <Segments label={t("settings.language")} value={language} change={choose} options={languages.map((l) => [l, names[l]] as const)} />
      {missing && <Problem fault={new Fault("offline", "PAGE_PIECE", "a language did not come")} again={() => choose(missing)} />}
    </>
  );
}

/** Language, theme and signing out. */
export function Settings({ open, close }: { open: boolean; close: () => void }) {
  const speech = useSpeech();
  const { t } = speech;
  const page = usePage();
  const [theme, setTheme] = useState<Theme>(chosenTheme);
  const [fault, setFault] = useState<Fault>();
  const [busy, setBusy] = useState(false);
  const dress = (to: Theme) => {
    remember("theme", to === "system" ? undefined : to);
    if (to === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = to;
    setTheme(to);
  };
  const out = (everywhere: boolean) => {
    setBusy(true);
    page.leave(everywhere).catch((thrown: unknown) => {
      setFault(faultOf(thrown));
      setBusy(false);
    });
  };
  return (
    <Dialog open={open} close={close} title={callName(speech, page.me) || t("settings.title")}>
      <div class="stack tight">
        <h3>{t("settings.language")}</h3>
        <LanguageChoice speak={page.speak} />
      </div>
      <div class="stack tight">
        <h3>{t("settings.theme")}</h3>
        <Segments
          label={t("settings.theme")}
          value={theme}
          change={dress}
          options={[
            ["system", t("settings.theme.system")],
            ["light", t("settings.theme.light")],
            ["dark", t("settings.theme.dark")],
          ]}
        />
      </div>
      <div class="stack tight">
        <h3>{t("settings.session")}</h3>
        <p class="soft small">{t("settings.session.text")}</p>
        {fault && <Problem fault={fault} />}
        <div class="row">
          <Button icon="out" busy={busy} onClick={() => out(false)}>
            {t("settings.out")}
          </Button>
          <Button kind="plain" busy={busy} onClick={() => out(true)}>
            {t("settings.out.everywhere")}
          </Button>
        </div>
      </div>
      <div class="row">
        <Button onClick={close}>{t("act.close")}</Button>
      </div>
    </Dialog>
  );
}
