// Finds dark patterns on a page as it stands: what makes one answer easier, larger, louder or later than the other, what is chosen for the
// person, what presses, shames or counts down. Words are looked for in the language of the page.
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";

export type Language = "en" | "fr" | "es";

export type Rule =
  | "refusal-missing"
  | "refusal-smaller"
  | "refusal-text-smaller"
  | "refusal-paler"
  | "refusal-unlike"
  | "refusal-elsewhere"
  | "refusal-later"
  | "refusal-off"
  | "refusal-covered"
  | "accept-moves"
  | "accept-focused"
  | "ticked-before"
  | "nag"
  | "countdown"
  | "hurry"
  | "shame"
  | "crowd"
  | "selling"
  | "trick-box"
  | "bundle"
  | "withdrawal-hidden"
  | "small-print"
  | "dead-end";

export interface Found {
  rule: Rule;
  where: string;
}

const messages = (language: Language) => JSON.parse(readFileSync(new URL(`../src/i18n/messages/${language}.json`, import.meta.url), "utf8")) as Record<string, string>;

// What the buttons of an answer say, as the page's own words have it.
const accepts = ["offer.accept", "offer.accept.some", "act.continue", "health.yes"];
const refuses = ["offer.refuse", "act.back", "health.no"];

const literal = (text: string) => `^${text.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, ".+")}$`;

const words: Record<Language, Record<"hurry" | "shame" | "crowd" | "selling" | "trick" | "bundle", string>> = {
  en: {
    hurry: "hurry up|hurry!|last chance|only \\d+ (places? |spots? )?left|limited time|now or never|act (now|fast)|before it'?s too late|don'?t miss|ends? in \\d+|expires? soon|running out",
    shame: "no,? thanks?,? i|i (don'?t|do not) (want|like|care|need)|miss(ing)? out|you('| wi)ll (lose|regret)|regret|sorry to see you|sad to see you|disappoint|let (us|others) down|good people|selfish|too bad",
    crowd: "\\d+ (other )?people (have |are )?((already|just|now) (accept|agree|earn|join|look|view)|(accept|agree|join)ed (already|this|it))|everybody (else )?(accepts|agrees)|most people (accept|agree)|popular choice|others like you",
    selling: "\\b(sell|selling|sold|sale of) (of )?(my|your) (own )?data",
    trick: "untick|uncheck|opt[- ]out|if you (don'?t|do not) (want|wish) (not|us not)|do not (not|refuse)",
    bundle: "accept (all|every) offers?|agree to everything|accept all (buyers|purposes)",
  },
  fr: {
    hurry: "dépêche|dernière chance|plus que \\d+|durée limitée|maintenant ou jamais|vite !|avant qu'il ne soit trop tard|ne manquez pas|ne ratez pas|se termine dans \\d+|expire bientôt",
    shame: "non,? merci,? je|je ne (veux|souhaite|tiens) pas (d'|gagner|être|profiter)|tant pis|vous (allez (perdre|rater|regretter)|ratez|perdrez|regretterez)|dommage|désolés? de vous voir|triste de vous voir|décev|égoïste",
    crowd: "\\d+ (autres )?personnes (ont |sont )?(déjà |en train )?(accept|gagn|rejoint|regard|consult)|tout le monde accepte|la plupart des gens accept|choix populaire|d'autres comme vous",
    selling: "(vendre|vendez|vendu|vente de) (mes|vos) (propres )?données",
    trick: "décoche[rz]|si vous ne (voulez|souhaitez) pas (ne|qu'on ne)",
    bundle: "accepter toutes les offres|tout accepter|accepter tous les (acheteurs|usages)",
  },
  es: {
    hurry: "dese prisa|date prisa|última oportunidad|solo quedan? \\d+|tiempo limitado|ahora o nunca|¡rápido|antes de que sea tarde|no se lo pierda|no te lo pierdas|termina en \\d+|caduca pronto",
    shame: "no,? gracias,? (no )?(me|quiero|prefiero)|no (quiero|me gusta|me interesa) (ganar|cobrar|el dinero)|(se lo|te lo) pierde|(va a|vas a) (perder|lamentar)|perderá|lamentará|lástima|arrepent|sentimos que se vaya|decepcion|egoísta",
    crowd: "\\d+ (otras )?personas (ya )?(han |están )?(acept|gan|uni|mir)|todo el mundo acepta|la mayoría acepta|opción popular|otros como usted",
    selling: "(vender|vende|vendido|venta de) (mis|sus|tus) (propios )?datos",
    trick: "desmarque|desmarcar|si no (quiere|desea) (no|que no)",
    bundle: "aceptar todas las ofertas|aceptarlo todo|aceptar todos los (compradores|fines)",
  },
};

/** What is wrong with the page as it stands. `asked` says that the person has opened the question that stands over it. */
export async function lint(page: Page, language: Language, asked: boolean): Promise<Found[]> {
  const m = messages(language);
  await page.mouse.move(0, 0); // what lies under the pointer looks otherwise
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))); // and what has just changed still does
  const one = (keys: string[]) => keys.map((k) => literal(m[k] ?? "")).join("|");
  return page.evaluate(look, { asked, accept: one(accepts), refuse: one(refuses), withdraw: literal(m["withdraw.one"] ?? ""), close: literal(m["act.close"] ?? ""), words: words[language] });
}

// Runs in the page before anything of it: a hand that moves its clock on. Timers of two seconds at most tick as often as they would have, and whoever
// asks for the time is told the later one; longer ones, which wait for services, keep the true time.
function clockwork(): void {
  const short = 2_000;
  let ahead = 0;
  type Set = (act: () => void, ms?: number) => number;
  type Clear = (id?: number) => void;
  const { setTimeout: later, clearTimeout: notLater, setInterval: often, clearInterval: notOften, Date: Real } = window as unknown as {
    setTimeout: Set;
    clearTimeout: Clear;
    setInterval: Set;
    clearInterval: Clear;
    Date: DateConstructor;
  };
  const now = performance.now.bind(performance);
  const timers = new Map<number, { act: () => void; every: number; once: boolean; past: number }>();
  const watched = (once: boolean, set: Set) => (act: TimerHandler, ms = 0, ...more: unknown[]) => {
    if (typeof act !== "function") throw new Error("a timer of text");
    const run = () => {
      if (once) timers.delete(id);
      (act as (...args: unknown[]) => void)(...more);
    };
    const id = set(run, ms);
    if (ms <= short) timers.set(id, { act: run, every: Math.max(ms, 10), once, past: 0 });
    return id;
  };
  const stop = (clear: Clear) => (id?: number) => {
    timers.delete(id ?? 0);
    clear(id);
  };
  Object.assign(window, {
    setTimeout: watched(true, later),
    setInterval: watched(false, often),
    clearTimeout: stop(notLater),
    clearInterval: stop(notOften),
    Date: class extends Real {
      constructor(...given: []) {
        super(...((given.length > 0 ? given : [Real.now() + ahead]) as []));
      }
      static override now = () => Real.now() + ahead;
    },
    moveOn: (ms: number) => {
      ahead += ms;
      for (const [id, t] of [...timers]) {
        t.past += ms;
        for (; t.past >= t.every && timers.has(id); t.past -= t.every) {
          if (t.once) notLater(id);
          t.act();
        }
      }
    },
  });
  performance.now = () => now() + ahead;
}

/** Lets the page's clock be moved on, from its next load on. */
export async function movable(page: Page): Promise<void> {
  await page.addInitScript(clockwork);
  await page.reload();
}

/**
 * What runs by itself: texts, bars and timers that are another with every second, whatever their language says and whether they count down or
 * up. What came in from a service changes once. The clock of the page must be movable.
 */
export async function countdowns(page: Page): Promise<Found[]> {
  return page.evaluate(async () => {
    const { moveOn } = window as unknown as { moveOn: (ms: number) => void };
    // By place, not by node: what is drawn anew is the same text to whoever reads it.
    const place = (e: Element | null): string => (e?.parentElement ? `${place(e.parentElement)}/${[...e.parentElement.children].indexOf(e)}` : "");
    const said = () => {
      const all = new Map<string, string>();
      for (const e of document.body.querySelectorAll("*")) {
        const own = [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.textContent ?? "").join("");
        const bar = e.matches("progress, meter, [role=progressbar], [role=timer]") ? `${e.getAttribute("value") ?? ""} ${e.getAttribute("aria-valuenow") ?? ""}` : "";
        if (`${own}${bar}`.trim() !== "") all.set(place(e), own + bar);
      }
      return all;
    };
    const seen = [said()];
    for (let n = 0; n < 4; n++) {
      moveOn(1_000);
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      seen.push(said());
    }
    return [...(seen[0] ?? [])].flatMap(([at, was]) => {
      const texts = seen.map((s) => s.get(at));
      const changes = texts.filter((t, i) => i > 0 && t !== undefined && t !== texts[i - 1]).length;
      return changes >= 3 ? [{ rule: "countdown" as const, where: `${was} became ${texts[texts.length - 1] ?? ""}` }] : [];
    });
  });
}

interface Ask {
  asked: boolean;
  accept: string;
  refuse: string;
  withdraw: string;
  close: string;
  words: Record<"hurry" | "shame" | "crowd" | "selling" | "trick" | "bundle", string>;
}

// Runs in the page, so it may use nothing from around it.
function look(ask: Ask): Found[] {
  const found: Found[] = [];
  const name = (e: Element) => `${e.tagName.toLowerCase()} ${(e.textContent ?? "").trim().slice(0, 60)}`;
  const tell = (rule: Rule, where: string | Element) => found.push({ rule, where: typeof where === "string" ? where : name(where) });
  const text = (e: Element) => (e.textContent ?? "").replaceAll(/\s+/g, " ").trim();
  const seen = (e: Element) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getBoundingClientRect().width > 0;

  type Rgba = [number, number, number, number];
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color: string): Rgba => {
    if (!canvas) throw new Error("no canvas");
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top: Rgba, below: Rgba): Rgba => [0, 1, 2].map((i) => (top[i] ?? 0) * top[3] + (below[i] ?? 0) * (1 - top[3])).concat(1) as Rgba;
  const ground = (e: Element | null): Rgba => {
    if (!e) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(e).backgroundColor);
    return own[3] >= 1 ? own : over(own, ground(e.parentElement));
  };
  const light = (c: Rgba) => {
    const [r = 0, g = 0, b = 0] = c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a: Rgba, b: Rgba) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const faded = (e: Element | null): number => (e ? Number(getComputedStyle(e).opacity) * faded(e.parentElement) : 1);
  // How a button stands out: its text on its ground, and its ground on what lies around it.
  const loud = (e: Element): [number, number] => {
    const g = ground(e);
    const ink = rgba(getComputedStyle(e).color);
    return [contrast(over([ink[0], ink[1], ink[2], ink[3] * faded(e)], g), g), contrast(g, ground(e.parentElement))];
  };

  const accept = new RegExp(ask.accept, "i");
  const refuse = new RegExp(ask.refuse, "i");
  const stage = document.querySelector("dialog[open]") ?? document.body;
  const controls = [...stage.querySelectorAll("button, a, [role=button], input[type=button], input[type=submit]")].filter(seen);

  for (const yes of controls.filter((c) => accept.test(text(c)))) {
    // The answer is the smallest part of the page that holds both.
    let group: Element | null = yes.parentElement;
    let no: Element | undefined;
    for (; group && group !== document.body; group = group.parentElement) {
      no = controls.find((c) => c !== yes && group?.contains(c) && refuse.test(text(c)));
      if (no) break;
    }
    if (!no) {
      tell("refusal-missing", yes);
      continue;
    }
    const [y, n] = [yes.getBoundingClientRect(), no.getBoundingClientRect()];
    const [ys, ns] = [getComputedStyle(yes), getComputedStyle(no)];
    if (n.width < y.width - 2 || n.height < y.height - 2) tell("refusal-smaller", no);
    if (parseFloat(ns.fontSize) < parseFloat(ys.fontSize) || Number(ns.fontWeight) < Number(ys.fontWeight)) tell("refusal-text-smaller", no);
    const [yl, nl] = [loud(yes), loud(no)];
    if (nl[0] < yl[0] * 0.9 || nl[1] < yl[1] * 0.9) tell("refusal-paler", no);
    if (no.tagName !== yes.tagName || ns.textDecorationLine !== ys.textDecorationLine || ns.borderTopWidth !== ys.borderTopWidth || ns.textTransform !== ys.textTransform) tell("refusal-unlike", no);
    if (Math.abs(n.top - y.top) > 2) tell("refusal-elsewhere", no);
    if (yes.compareDocumentPosition(no) & Node.DOCUMENT_POSITION_FOLLOWING && n.left >= y.left) tell("refusal-later", no);
    const off = (e: Element) => e.getAttribute("aria-disabled") === "true" || e.hasAttribute("disabled");
    if (off(no) && !off(yes)) tell("refusal-off", no);
    const at = document.elementFromPoint(n.left + n.width / 2, n.top + n.height / 2);
    if (at && n.top >= 0 && n.bottom <= innerHeight && !no.contains(at)) tell("refusal-covered", no);
    if (yes.getAnimations({ subtree: true }).some((a) => a.playState === "running" && a.effect?.getTiming().iterations === Infinity)) tell("accept-moves", yes);
    if (document.activeElement === yes) tell("accept-focused", yes);
  }

  const dialog = document.querySelector("dialog[open]");
  // Behind a question stands what the person has set.
  for (const box of (dialog ?? document).querySelectorAll<HTMLInputElement>("input[type=checkbox], input[type=radio], [role=switch], [role=checkbox]"))
    if (box.checked || box.getAttribute("aria-checked") === "true") tell("ticked-before", box.closest("label, .switch") ?? box);
  for (const label of document.querySelectorAll("label")) if (new RegExp(ask.words.trick, "i").test(text(label))) tell("trick-box", label);
  if (dialog && !ask.asked) tell("nag", dialog);
  // What only tells is closed; what asks can be left.
  const ways = [...(dialog?.querySelectorAll("button, a[href]") ?? [])];
  if (dialog && ways.length < 2 && !ways.some((w) => new RegExp(ask.close, "i").test(text(w)))) tell("dead-end", dialog);
  if (document.querySelector("[role=timer]")) tell("countdown", "role timer");

  const body = text(document.body);
  for (const rule of ["hurry", "shame", "crowd", "selling", "bundle"] as const) {
    const hit = new RegExp(ask.words[rule], "i").exec(body);
    if (hit) tell(rule, `${body.slice(Math.max(0, hit.index - 30), hit.index + 50)}`);
  }

  // Under each agreement that lives stands the way out of it, in sight.
  const withdraw = new RegExp(ask.withdraw, "i");
  if (location.pathname === "/uses")
    for (const card of document.querySelectorAll("main .card:has(.chip.good), main .card:has(.chip.warn)")) {
      const out = [...card.querySelectorAll("button")].find((b) => withdraw.test(text(b)));
      const beside = out?.parentElement?.querySelector("button");
      if (!out || !seen(out) || (beside && out.getBoundingClientRect().height < beside.getBoundingClientRect().height - 2)) tell("withdrawal-hidden", card);
    }

  const walk = document.createTreeWalker(document.querySelector("main") ?? document.body, NodeFilter.SHOW_TEXT);
  for (let t = walk.nextNode(); t; t = walk.nextNode()) {
    const e = t.parentElement;
    if (e && (t.textContent ?? "").trim() !== "" && seen(e) && !e.closest("svg, canvas, .unseen") && parseFloat(getComputedStyle(e).fontSize) < 12) tell("small-print", e);
  }
  return found;
}
