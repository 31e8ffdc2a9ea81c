// No screen has a dark pattern in any language; that this can be said at all is shown by planting some and finding each.
import { randomUUID } from "node:crypto";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { launch, settled, signIn, visit } from "./browser";
import { Market } from "./market";
import { countdowns, lint, movable, type Language, type Rule } from "./patterns";
import { go, screens } from "./screens";
import { ask, buyer, open, speak } from "./world";

const market = new Market(inject("market"));
let browser: Browser;
let key: string;

beforeAll(async () => {
  browser = await launch();
  key = await buyer(market, "A study of patterns");
  await ask(market, key, { price: "0.07 EUR", slots: 300, most: 5, cadence: "once" });
});

afterAll(async () => {
  await browser?.close();
});

const leave = async (page: Page) => {
  if (await page.locator("dialog[open]").count()) await page.keyboard.press("Escape");
};

for (const as of [...new Set(screens.map((s) => s.as))])
  test.concurrent(`${as}: no screen has a dark pattern in any language`, async () => {
    const page = await open(browser, market, as);
    await movable(page);
    await settled(page);
    const found: string[] = [];
    for (const language of ["en", "fr", "es"] as const) {
      await speak(page, as, language);
      for (const screen of screens.filter((s) => s.as === as)) {
        await go(page, screen);
        const all = [...(await lint(page, language, screen.asks === true)), ...(await countdowns(page))];
        found.push(...all.map((f) => `${screen.name} ${language}: ${f.rule}: ${f.where}`));
        await leave(page);
      }
    }
    expect(found).toEqual([]);
    await page.context().close();
  });

interface Plant {
  what: string;
  rule: Rule;
  on: string;
  /** Of the page, when it is not English. */
  language?: Language;
  /** What it is planted on. */
  at: string;
  /** Runs in the page. */
  plant: (e: HTMLElement) => void;
}

const refuse = "[data-testid=refuse]";
const accept = "[data-testid=accept]";
const words = "main .page-head p";
const asked = "dialog[open] p";

const plants: Plant[] = [
  { what: "no button refuses", rule: "refusal-missing", on: "offer", at: refuse, plant: (e) => e.remove() },
  { what: "refusing is lower", rule: "refusal-smaller", on: "offer", at: refuse, plant: (e) => Object.assign(e.style, { minHeight: "1.5rem", alignSelf: "start" }) },
  { what: "refusing is narrower", rule: "refusal-smaller", on: "offer", at: ".choice", plant: (e) => e.style.setProperty("grid-template-columns", "1fr 2fr") },
  { what: "refusing is written smaller", rule: "refusal-text-smaller", on: "offer", at: refuse, plant: (e) => e.style.setProperty("font-size", "0.8rem") },
  { what: "refusing is grey on grey", rule: "refusal-paler", on: "offer", at: refuse, plant: (e) => e.style.setProperty("color", "#999") },
  { what: "accepting is the coloured one", rule: "refusal-paler", on: "offer", at: accept, plant: (e) => e.classList.add("main-act") },
  { what: "refusing is faded", rule: "refusal-paler", on: "offer", at: refuse, plant: (e) => e.style.setProperty("opacity", "0.6") },
  { what: "refusing looks like a link", rule: "refusal-unlike", on: "offer-confirm", at: "dialog[open] .choice button", plant: (e) => e.style.setProperty("text-decoration", "underline") },
  { what: "refusing stands below", rule: "refusal-elsewhere", on: "offer", at: ".choice", plant: (e) => e.style.setProperty("grid-template-columns", "1fr") },
  { what: "accepting comes first", rule: "refusal-later", on: "offer", at: refuse, plant: (e) => e.parentElement?.append(e) },
  { what: "refusing cannot be pressed yet", rule: "refusal-off", on: "offer", at: refuse, plant: (e) => e.setAttribute("aria-disabled", "true") },
  {
    what: "something lies over refusing",
    rule: "refusal-covered",
    on: "offer",
    at: refuse,
    plant: (e) => {
      const { left, top, width, height } = e.getBoundingClientRect();
      const lid = document.createElement("div");
      Object.assign(lid.style, { position: "fixed", left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px`, zIndex: "99" });
      document.querySelector("main")?.append(lid);
    },
  },
  {
    what: "accepting throbs",
    rule: "accept-moves",
    on: "offer",
    at: accept,
    plant: (e) => void e.animate([{ transform: "scale(1)" }, { transform: "scale(1.05)" }], { duration: 700, iterations: Infinity }),
  },
  { what: "Enter accepts", rule: "accept-focused", on: "offer-confirm", at: "[data-testid=confirm]", plant: (e) => e.focus() },
  { what: "a field is ticked already", rule: "ticked-before", on: "offer", at: "main input[type=checkbox]", plant: (e) => e.setAttribute("checked", "") },
  {
    what: "the agreement to health data is ticked already",
    rule: "ticked-before",
    on: "offer-health",
    at: "dialog[open] input[type=checkbox]",
    plant: (e) => ((e as HTMLInputElement).checked = true),
  },
  {
    what: "a question opens by itself",
    rule: "nag",
    on: "home",
    at: "main",
    plant: (e) => {
      const d = document.createElement("dialog");
      d.innerHTML = "<h2>Have you seen the new offers?</h2><button>Look</button><button>Close</button>";
      e.append(d);
      d.showModal();
    },
  },
  { what: "a question cannot be left", rule: "dead-end", on: "withdraw", at: "dialog[open] .choice button", plant: (e) => e.remove() },
  { what: "time runs out", rule: "hurry", on: "offer", at: words, plant: (e) => e.append(" Only 3 places left.") },
  { what: "time runs out, in French", rule: "hurry", on: "offer", language: "fr", at: words, plant: (e) => e.append(" Dernière chance !") },
  { what: "refusing is shamed", rule: "shame", on: "offer", at: refuse, plant: (e) => e.replaceChildren("No thanks, I do not want money") },
  { what: "leaving is shamed, in Spanish", rule: "shame", on: "withdraw", language: "es", at: asked, plant: (e) => e.append(" Perderá sus ingresos.") },
  { what: "leaving is shamed, in French", rule: "shame", on: "withdraw", language: "fr", at: asked, plant: (e) => e.append(" Dommage de vous voir partir.") },
  { what: "the crowd is shown", rule: "crowd", on: "offer", at: words, plant: (e) => e.append(" 214 people have accepted already.") },
  { what: "data are sold", rule: "selling", on: "offers", language: "es", at: words, plant: (e) => e.append(" Vender sus datos es fácil.") },
  { what: "a box means its opposite", rule: "trick-box", on: "offer", at: "main label", plant: (e) => e.append(" Untick if you do not want this to be left out") },
  { what: "all is accepted at once", rule: "bundle", on: "offers", at: words, plant: (e) => e.append(" Accept all offers") },
  {
    what: "the way out is folded away",
    rule: "withdrawal-hidden",
    on: "uses",
    at: "[data-testid=withdraw]",
    plant: (e) => {
      const fold = document.createElement("details");
      e.replaceWith(fold);
      fold.append(e);
    },
  },
  { what: "terms are in small print", rule: "small-print", on: "offer", at: "main dd", plant: (e) => e.style.setProperty("font-size", "9px") },
];

test(`${plants.length} planted patterns are each found`, async () => {
  expect(plants.length).toBeGreaterThanOrEqual(20);
  const page = await open(browser, market, "person");
  const missed: string[] = [];
  let spoken: Language = "en";
  for (const { what, rule, on, at, plant, language = "en" } of plants) {
    if (language !== spoken) await speak(page, "person", (spoken = language));
    const screen = screens.find((s) => s.name === on);
    if (!screen) throw new Error(`no screen ${on}`);
    await go(page, screen);
    await page.locator(at).first().evaluate(plant);
    const rules = (await lint(page, language, screen.asks === true)).map((f) => f.rule);
    if (!rules.includes(rule)) missed.push(`${what}: wanted ${rule}, found ${rules.join(", ") || "nothing"}`);
    // What was planted goes with the screen: loading anew leaves nothing of it.
    await page.reload();
    await settled(page);
  }
  expect(missed).toEqual([]);
  await page.context().close();
});

/** Presses one after another, and the last until what it is for has come. Answers with how often was pressed. */
async function presses(page: Page, steps: string[], done: string): Promise<number> {
  let n = 0;
  for (const step of steps) {
    await page.locator(step).first().click();
    n++;
  }
  const last = steps[steps.length - 1] ?? "";
  while (!(await appears(page, done))) {
    if (n > 20) throw new Error(`${done} does not come`);
    await page.locator(last).first().click();
    n++;
  }
  return n;
}

const appears = (page: Page, what: string) =>
  page
    .locator(what)
    .first()
    .waitFor({ timeout: 2_500 })
    .then(
      () => true,
      () => false,
    );

test("refusing and withdrawing take no more presses than accepting; what was refused waits no more", async () => {
  const page = await signIn(browser, market.page, "Participant 6962181067");
  const keys = new Map<string, string>();
  const offered = async (what: string): Promise<string> => {
    const name = `${what} ${randomUUID().slice(0, 8)}`;
    keys.set(name, await buyer(market, name));
    await ask(market, keys.get(name) ?? "", { price: "0.09 EUR", slots: 300, most: 5, cadence: "once" });
    await visit(page, "/offers");
    await page.locator("main a.offer").filter({ hasText: name }).waitFor({ timeout: 25_000 });
    await visit(page, "/");
    return name;
  };
  const toOffer = (name: string) => ["main a[href='/offers'].card", `main a.offer:has-text('${name}')`];
  const toAccept = ["[data-testid=accept]", "[data-testid=confirm]", "dialog[open] input[type=checkbox]", "[data-testid=confirm-health]"];
  const toWithdraw = (name: string) => [`main a[href='/uses'].item:has-text('${name}')`, `li:has-text('${name}') [data-testid=withdraw]`, "[data-testid=withdraw-now]"];

  const no = await offered("A refused study");
  const refusing = await presses(page, [...toOffer(no), "[data-testid=refuse]"], "text=You refused.");
  await visit(page, "/offers");
  expect(await page.getByRole("list", { name: "Offers waiting for your decision" }).getByText(no).count()).toBe(0);
  await page.locator("main").getByText(no).waitFor(); // it stands among the answered ones

  // The same buyer asks the same again, for more: it is not put to them, and is there for whoever looks.
  await ask(market, keys.get(no) ?? "", { price: "0.19 EUR", slots: 150, most: 5, cadence: "once" });
  const waiting = page.getByRole("list", { name: "Offers waiting for your decision" }).getByText(no);
  await page.getByTestId("declined-before").waitFor({ timeout: 25_000 });
  expect(await waiting.count()).toBe(0);
  expect(await page.getByTestId("declined-before").textContent()).toContain("For 180 days");
  await page.getByTestId("declined-before").locator("a").click();
  await waiting.waitFor();
  await page.locator(`main li:has-text("${no}") a.offer[href$="?declined"]`).first().click();
  await page.getByTestId("refuse").click();
  await page.getByText("You refused.").waitFor();
  await visit(page, "/");

  const yes = await offered("A study");
  const accepting = await presses(page, [...toOffer(yes), ...toAccept], "[data-testid=outcome]");
  await visit(page, "/");
  const withdrawing = await presses(page, toWithdraw(yes), "text=Nothing leaves any more");
  expect(refusing).toBeLessThanOrEqual(accepting);
  expect(withdrawing).toBeLessThanOrEqual(accepting);

  // Planted: withdrawing is asked for again and again. That this is counted is what makes the line above mean something.
  const again = await offered("Another study");
  await presses(page, [...toOffer(again), ...toAccept], "[data-testid=outcome]");
  await visit(page, "/");
  await page.evaluate(() => {
    let asked = 0;
    const swallow = (e: Event) => {
      if (e.target instanceof Element && e.target.closest("[data-testid=withdraw-now]") && ++asked < 5) e.stopImmediatePropagation();
    };
    document.addEventListener("click", swallow, true);
  });
  expect(await presses(page, toWithdraw(again), "text=Nothing leaves any more")).toBeGreaterThan(accepting);
  await page.context().close();
});

// Each puts something into the page that runs, and nothing that a rule of words knows.
const clocks: { what: string; language: Language; plant: (main: Element) => void }[] = [
  {
    what: "minutes and seconds",
    language: "en",
    plant: (main) => {
      const clock = document.createElement("p");
      let left = 600;
      main.append(clock);
      const show = () => (clock.textContent = `${Math.floor(left / 60)}:${String(left-- % 60).padStart(2, "0")}`);
      show();
      setInterval(show, 1_000);
    },
  },
  {
    what: "words, drawn anew each time",
    language: "fr",
    plant: (main) => {
      const words = ["dix", "neuf", "huit", "sept", "six", "cinq", "quatre", "trois", "deux", "un"];
      const box = document.createElement("div");
      main.append(box);
      const show = () => {
        const line = document.createElement("p");
        line.textContent = `Encore ${words.shift() ?? "zéro"} secondes`;
        box.replaceChildren(line);
        setTimeout(show, 1_000);
      };
      show();
    },
  },
  {
    what: "people who come, counted up by the time",
    language: "es",
    plant: (main) => {
      const crowd = document.createElement("p");
      const began = Date.now();
      main.append(crowd);
      const show = () => {
        crowd.textContent = `Ya son ${1_200 + Math.floor((Date.now() - began) / 250)}`;
        requestAnimationFrame(show);
      };
      show();
    },
  },
  {
    what: "a bar that shrinks",
    language: "es",
    plant: (main) => {
      const bar = document.createElement("progress");
      bar.max = 60;
      bar.setAttribute("value", "60");
      main.append(bar);
      setInterval(() => bar.setAttribute("value", String(Number(bar.getAttribute("value")) - 1)), 500);
    },
  },
];

test("whatever runs by itself is found in any language, and what changes once is not", async () => {
  const page = await open(browser, market, "person");
  await movable(page);
  await settled(page);
  for (const { what, language, plant } of clocks) {
    await speak(page, "person", language);
    await visit(page, "/rights");
    expect(await countdowns(page), `${language}, before`).toEqual([]);
    await page.locator("main").evaluate(plant);
    expect((await countdowns(page)).map((f) => f.rule), what).toEqual(["countdown"]);
    await page.reload();
    await settled(page);
  }
  await page.locator("main").evaluate((main) => {
    const news = document.createElement("p");
    news.textContent = "1 offer";
    main.append(news);
    setTimeout(() => (news.textContent = "2 offers"), 1_500);
  });
  expect(await countdowns(page)).toEqual([]);
  await page.context().close();
});
