// Before anybody has signed in.
import { useState } from "preact/compat";
import { Foot } from "../frame";
import { useSpeech } from "../i18n";
import type { Speak } from "../page";
import type { Config } from "../net/session";
import { remember, remembered } from "../remember";
import { LanguageChoice } from "../settings";
import { Coin } from "../ui/icon";
import { Notice } from "../ui/parts";
import { signInHere, usePlace } from "../route";
import { Explain } from "./explain";
import { PolicyPage } from "./privacy";

export function Welcome({ config, speak }: { config: Config | undefined; speak: Speak }) {
  const { t, language } = useSpeech();
  const place = usePlace();
  const [explained, setExplained] = useState(remembered("welcomed") === "yes");
  const trouble = place.query.get("login");
  const policy = place.path === "/privacy";
  const login = policy ? `/login?to=%2F&lang=${language}` : signInHere(language);
  return (
    <div class="frame outside">
      <header class="top">
        <a class="brand" href="/">
          <Coin />
          Obole
        </a>
        <a class="button" href={login}>
          {t("login.act")}
        </a>
      </header>
      <main class="main" id="main">
        <div class="stack wide">
          {trouble && (
            <Notice tone="warn" alert>
              <p>{trouble === "denied" ? t("login.denied") : trouble === "unavailable" ? t("login.unavailable") : t("login.stale")}</p>
            </Notice>
          )}
          {policy ? (
            <PolicyPage />
          ) : explained ? (
            <section class="explain">
              <div class="medal">
                <Coin />
              </div>
              <h1 tabIndex={-1} id="page-title">
                {t("welcome.title")}
              </h1>
              <p class="lead">{t("welcome.text")}</p>
              <div class="row">
                <a class="button main-act" href={login}>
                  {t("login.act")}
                </a>
              </div>
              {config?.operator.synthetic && <p class="soft small">{t("welcome.synthetic")}</p>}
            </section>
          ) : (
            <Explain
              done={() => {
                remember("welcomed", "yes");
                setExplained(true);
              }}
              last={t("explain.done")}
            />
          )}
          <LanguageChoice speak={speak} />
        </div>
      </main>
      <Foot {...(config?.operator.name ? { operator: config.operator.name } : {})} />
    </div>
  );
}
