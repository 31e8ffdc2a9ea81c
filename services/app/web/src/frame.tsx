// Around every screen: the way to the others, how the line is, and at its foot the privacy policy.
import type { ComponentChildren } from "preact";
import { useState } from "preact/compat";
import { roomAt, roomsOf } from "./console/roles";
import { useSpeech, type Key } from "./i18n";
import { usePage } from "./page";
import { signInHere } from "./route";
import { Coin, Icon, type IconName } from "./ui/icon";
import { Notice } from "./ui/parts";
import { Settings } from "./settings";
import { callName } from "./ui/words";

interface Way {
  href: string;
  name: Key;
  icon: IconName;
  /** Where on a phone it is behind "more". */
  rail?: boolean;
}

const ways: Way[] = [
  { href: "/", name: "nav.home", icon: "home" },
  { href: "/data", name: "nav.data", icon: "data" },
  { href: "/offers", name: "nav.offers", icon: "offers" },
  { href: "/uses", name: "nav.uses", icon: "uses" },
  { href: "/money", name: "nav.money", icon: "money", rail: true },
  { href: "/rules", name: "nav.rules", icon: "rules", rail: true },
  { href: "/inbox", name: "nav.inbox", icon: "inbox", rail: true },
  { href: "/record", name: "nav.record", icon: "record", rail: true },
  { href: "/rights", name: "nav.rights", icon: "rights", rail: true },
];

const consoleWay: Way = { href: "/console", name: "nav.console", icon: "console", rail: true };

/** Everything that is behind "more" on a phone. */
export const moreWays = ways.filter((w) => w.rail);

/** The same for somebody's roles. */
export const moreWaysOf = (roles: readonly string[]): Way[] => (roomsOf(roles).length > 0 ? [...moreWays, consoleWay] : moreWays);

function isAt(path: string, href: string): boolean {
  return href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`);
}

export function Frame({ path, children }: { path: string; children: ComponentChildren }) {
  const speech = useSpeech();
  const { t, language } = speech;
  const page = usePage();
  const [settings, setSettings] = useState(false);
  const subscriber = page.me.roles.includes("subscriber");
  // Whoever is both a subscriber and something else has one way into the console, which shows its rooms itself.
  const rooms: Way[] = roomsOf(page.me.roles);
  // The start of somebody who is no subscriber is the first of their rooms.
  const room = subscriber ? undefined : roomAt(path, page.me.roles)?.href;
  const shown = !subscriber ? rooms : rooms.length > 0 ? [...ways, consoleWay] : ways;
  const behindMore = path === "/more" || [...moreWays, consoleWay].some((w) => isAt(path, w.href));
  return (
    <div class="frame">
      <a class="skip" href="#main">
        {t("nav.skip")}
      </a>
      <header class="top">
        <a class="brand" href="/">
          <Coin />
          Obole
        </a>
        <div class="row">
          {(subscriber || !page.online) && <LineMark />}
          <button type="button" class="button plain square" aria-label={t("settings.open", { name: callName(speech, page.me) })} onClick={() => setSettings(true)}>
            <Icon name="person" />
          </button>
        </div>
      </header>
      <nav class="nav" aria-label={t("nav.label")}>
        <ul class="plain">
          {shown.map((w) => (
            <li key={w.href} class={w.rail ? "rail-only" : undefined}>
              <a href={w.href} aria-current={(subscriber ? isAt(path, w.href) : w.href === room) ? "page" : undefined}>
                <Icon name={w.icon} />
                <span>{t(w.name)}</span>
              </a>
            </li>
          ))}
          {subscriber && (
            <li class="bar-only">
              <a href="/more" aria-current={behindMore ? "page" : undefined}>
                <Icon name="more" />
                <span>{t("nav.more")}</span>
              </a>
            </li>
          )}
        </ul>
      </nav>
      <main class="main" id="main">
        <div class="stack wide">
          {page.over && (
            <Notice tone="warn" alert>
              <p>
                <strong>{t("fault.session")}</strong> {t("fault.session.do")}
              </p>
              <a class="button" href={signInHere(language)}>
                {t("login.again")}
              </a>
            </Notice>
          )}
          {!page.online && (
            <Notice tone="warn" icon="offline" alert>
              <p>
                <strong>{t("offline.title")}</strong> {t("offline.text")}
              </p>
            </Notice>
          )}
          {children}
        </div>
      </main>
      <Foot person={subscriber} />
      <Settings open={settings} close={() => setSettings(false)} />
    </div>
  );
}

function LineMark() {
  const { t } = useSpeech();
  const { line, online } = usePage();
  const state = !online ? "off" : line === "live" ? "on" : line === "broken" ? "off" : "";
  const words = !online ? t("line.offline") : line === "live" ? t("line.live") : line === "broken" ? t("line.broken") : t("line.starting");
  return (
    <span class={`live ${state}`} role="status" data-testid="line" data-line={online ? line : "offline"}>
      {words}
    </span>
  );
}

/** Under every screen, signed in or not. A person's rights are no page of a buyer's or of staff. */
export function Foot({ operator, person = true }: { operator?: string; person?: boolean }) {
  const { t } = useSpeech();
  return (
    <footer class="foot">
      <div class="inner">
        <a href="/privacy">{t("nav.privacy")}</a>
        {person && <a href="/rights">{t("nav.rights")}</a>}
        {(person || operator) && <span>{operator ?? t("foot.words")}</span>}
      </div>
    </footer>
  );
}
