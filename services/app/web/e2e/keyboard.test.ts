// Without a mouse: every control of every screen is reached, seen when it is, and large enough for a thumb; and what a person can do is done
// with keys alone.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { launch, settled, signIn, visit } from "./browser";
import { Market } from "./market";
import { go, screens } from "./screens";
import { ask, buyer, open, speak } from "./world";

const market = new Market(inject("market"));
const name = "A study by keyboard";
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
  await ask(market, await buyer(market, name), { price: "0.12 EUR", slots: 300, most: 5, cadence: "once" });
});

afterAll(async () => {
  await browser?.close();
});

interface Stop {
  name: string;
  ring: boolean;
  hidden: boolean;
  small: boolean;
  again: boolean;
}

/** Presses Tab from the top of the page, or of the question over it, until it has come round. Answers with what is wrong. */
async function round(page: Page): Promise<string[]> {
  await page.evaluate(() => {
    const tabbable = "a[href], button, input, select, textarea, summary, [tabindex]";
    const stage = document.querySelector("dialog[open]") ?? document.body;
    const wanted = [...stage.querySelectorAll<HTMLElement>(tabbable)].filter((e) => e.tabIndex >= 0 && !e.hasAttribute("disabled") && e.checkVisibility());
    Object.assign(window, { wanted, reached: new Set<Element>() });
    scrollTo(0, 0);
    wanted[0]?.focus();
  });
  const wrong: string[] = [];
  for (let n = 0; n < 400; n++) {
    // By keys from the first one on: what is focused by script need not show it.
    await page.keyboard.press(n === 0 ? "Shift+Tab" : "Tab");
    if (n === 0) continue;
    const stop = await page.evaluate((): Stop | undefined => {
      const e = document.activeElement;
      if (!(e instanceof HTMLElement) || e === document.body) return undefined;
      const { reached } = window as unknown as { reached: Set<Element> };
      const part = reached.has(e) && e instanceof HTMLInputElement && e.type === "date"; // of a date, whose ring is the browser's own
      const again = reached.has(e) && !part;
      reached.add(e);
      const style = getComputedStyle(e);
      const at = e.getBoundingClientRect();
      const points = [0.1, 0.5, 0.9].flatMap((x) => [0.1, 0.5, 0.9].map((y) => document.elementFromPoint(at.left + at.width * x, at.top + at.height * y)));
      const sized = e.matches("button, .button, nav a, select, input:not([type=checkbox]), summary, .item, .card");
      return {
        name: `${e.tagName.toLowerCase()} ${(e.getAttribute("aria-label") ?? e.textContent ?? "").trim().slice(0, 40)}`,
        ring: part || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        hidden: !points.some((p) => p && (e.contains(p) || p.closest("label")?.contains(e))),
        small: sized && !e.matches(".skip") && (at.height < 43.5 || at.width < 43.5),
        again,
      };
    });
    if (!stop) continue;
    if (stop.again) break;
    if (!stop.ring) wrong.push(`${stop.name}: its focus is not seen`);
    if (stop.hidden) wrong.push(`${stop.name}: something lies over it`);
    if (stop.small) wrong.push(`${stop.name}: smaller than a thumb`);
  }
  const missed = await page.evaluate(() => {
    const { wanted, reached } = window as unknown as { wanted: HTMLElement[]; reached: Set<Element> };
    return wanted.filter((e) => e.isConnected && !reached.has(e)).map((e) => `${e.tagName.toLowerCase()} ${(e.textContent ?? "").trim().slice(0, 40)}`);
  });
  return [...wrong, ...missed.map((m) => `${m}: not reached`)];
}

test("what cannot be reached, is not seen, is covered or too small is found", async () => {
  const page = await open(browser, market, "person");
  await visit(page, "/rights");
  await page.evaluate(() => {
    const [a, b, c, d] = [...document.querySelectorAll<HTMLElement>("main .right a.button")];
    a?.style.setProperty("outline", "none");
    b?.style.setProperty("min-height", "1.5rem");
    if (c) {
      const lid = document.createElement("span");
      Object.assign(lid.style, { position: "absolute", inset: "0", zIndex: "9" });
      c.after(lid);
      c.parentElement?.style.setProperty("position", "relative");
    }
    // Whoever is there sends the focus on.
    d?.addEventListener("focus", () => d.blur());
  });
  const wrong = (await round(page)).join("\n");
  for (const w of ["its focus is not seen", "smaller than a thumb", "something lies over it", "not reached"]) expect(wrong).toContain(w);
  await page.context().close();
});

for (const as of [...new Set(screens.map((s) => s.as))])
  test.concurrent(`${as}: Tab reaches every control, each shows that it has the focus, and none is too small`, async () => {
    const page = await open(browser, market, as);
    const wrong: string[] = [];
    for (const screen of screens.filter((s) => s.as === as)) {
      await go(page, screen);
      wrong.push(...(await round(page)).map((w) => `${screen.name}: ${w}`));
      // Nobody who asks for less motion sees any.
      const moving = await page.evaluate(() => document.getAnimations().filter((a) => a.playState === "running" && Number(a.effect?.getComputedTiming().activeDuration) > 10).length);
      if (moving > 0) wrong.push(`${screen.name}: ${moving} things move`);
      if (await page.locator("dialog[open]").count()) await page.keyboard.press("Escape");
    }
    expect(wrong).toEqual([]);
    await page.context().close();
  });

/** Presses Tab until the focus is on what is looked for. */
async function reach(page: Page, what: string): Promise<void> {
  for (let n = 0; n < 200; n++) {
    if (await page.evaluate((w) => document.activeElement?.matches(w) === true, what)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${what} is not reached by Tab`);
}

test("an offer is accepted in part, paused and withdrawn with keys alone, and the focus comes back from each question", async () => {
  const page = await signIn(browser, market.page, "Participant 8583815059");
  const key = async (what: string, press = "Enter") => {
    await reach(page, what);
    await page.keyboard.press(press);
  };
  await visit(page, "/offers");
  const card = page.locator("main a.offer").filter({ hasText: name }).first();
  await card.waitFor({ timeout: 25_000 });
  await key(`main a.offer[href='${await card.getAttribute("href")}']`);
  await page.getByTestId("accept").waitFor();
  await settled(page);
  await key("main input[type=checkbox]", "Space");
  await key("main input[type=checkbox]", "Space");
  await key("[data-testid=accept]");
  await page.locator("dialog[open]").waitFor(); // a key that is pressed before closes nothing
  await page.keyboard.press("Escape");
  await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute("data-testid"))).toBe("accept");
  await page.keyboard.press("Enter");
  await key("[data-testid=confirm]");
  await key("dialog[open] input[type=checkbox]", "Space");
  await key("[data-testid=confirm-health]");
  await page.getByTestId("outcome").waitFor({ timeout: 25_000 });
  await key("main a[href='/uses']");
  await settled(page);
  await key("[data-testid=pause-all]", "Space");
  await expect.poll(() => page.getByTestId("pause-all").getAttribute("aria-checked")).toBe("true");
  await key("[data-testid=pause-all]", "Space");
  await expect.poll(() => page.getByTestId("pause-all").getAttribute("aria-checked")).toBe("false");
  await key("[data-testid=withdraw]");
  await key("[data-testid=withdraw-now]");
  await expect.poll(() => page.getByTestId("said").textContent()).toContain("Nothing leaves any more");
  // A file is chosen by key as well.
  await visit(page, "/data");
  const chooser = page.waitForEvent("filechooser");
  await key(".drop button");
  await chooser;
  await page.context().close();
});

test("a plot is looked at closer, wider and to both sides with keys alone, and says which days it shows", async () => {
  const page = await open(browser, market, "person");
  await visit(page, "/data/omh:step-count:3.0");
  const days = page.getByTestId("look-days");
  const label = () => page.locator("figure.plot [role=img]").getAttribute("aria-label");
  const shown: string[] = [];
  const press = async (what: string) => {
    const before = await days.textContent();
    await reach(page, `[data-testid=look-${what}]`);
    await page.keyboard.press("Enter");
    await expect.poll(() => days.textContent(), { message: what }).not.toBe(before);
    await settled(page);
    expect(await page.evaluate(() => document.activeElement?.getAttribute("data-testid")), "the focus stays").toBe(`look-${what}`);
    shown.push(await days.textContent() ?? "", await label() ?? "");
    expect(await days.getAttribute("role")).toBe("status");
  };
  const all = await days.textContent();
  const whole = await label();
  await press("closer");
  await press("closer");
  await press("earlier");
  await press("later");
  await press("wider");
  expect(new Set(shown).size).toBeGreaterThan(5); // each step is another plot
  await press("wider");
  expect(await days.textContent()).toBe(all);
  expect(await label()).toBe(whole);
  // At the end of what there is nothing moves, and the button says so.
  expect(await page.getByTestId("look-later").getAttribute("aria-disabled")).toBe("true");
  await page.context().close();
});

test("a bid that cannot be read: each part says its bounds, and the focus goes to the first", async () => {
  const page = await open(browser, market, "buyer");
  await visit(page, "/console/bids/new");
  expect(await page.locator("nav.nav a[aria-current=page]").getAttribute("href")).toBe("/console/bids");
  const form = page.locator("main form");
  await form.getByRole("checkbox").first().check();
  await form.getByLabel("Slots wanted").fill("10000001");
  await form.getByLabel("First day").first().fill("2026-05-02");
  await form.getByLabel("Last day", { exact: true }).fill("2026-05-01");
  await form.getByRole("button", { name: "Place the bid" }).press("Enter");
  const wrong = async (field: string) => {
    const input = form.getByLabel(field, { exact: true });
    expect(await input.getAttribute("aria-invalid"), field).toBe("true");
    const ids = (await input.getAttribute("aria-describedby")) ?? "";
    return page.locator(`#${ids.split(" ").at(-1) ?? ""}`).textContent();
  };
  await expect.poll(() => page.evaluate(() => (document.activeElement as HTMLInputElement | null)?.labels?.[0]?.textContent)).toBe("Price of a slot");
  expect(await wrong("Slots wanted")).toBe("Write a whole number from 1 to 10,000,000.");
  expect(await wrong("Slots of one person at most")).toContain("from 1 to 366");
  expect(await wrong("Last day")).toContain("The last day is before the first.");
  await form.getByLabel("Price of a slot").fill("0.05");
  await form.getByRole("button", { name: "Place the bid" }).press("Enter");
  await expect.poll(() => page.evaluate(() => (document.activeElement as HTMLInputElement | null)?.labels?.[0]?.textContent)).toBe("Slots wanted");
  // More than there is money for would be rejected: that is no bid that the market would take.
  await form.getByLabel("Slots wanted").fill("1000000");
  await form.getByLabel("Slots of one person at most").fill("5");
  await form.getByLabel("Last day", { exact: true }).fill("2026-05-05");
  await form.getByLabel("Last day of acceptances").fill(new Date(Date.now() + 86_400_000).toISOString().slice(0, 10));
  await form.getByLabel("Days until you have deleted it").fill("30");
  await form.getByText(/This bid would hold .+ is available/).waitFor();
  expect(await form.getByText("The market would take this bid.").count()).toBe(0);
  // In another language, and after a look at another room, it is the same bid.
  await form.getByLabel("Price of a slot").fill("1.234");
  await speak(page, "buyer", "fr");
  await visit(page, "/console/funds");
  await visit(page, "/console/bids/new");
  expect(await page.locator("main input").evaluateAll((all) => all.map((i) => (i as HTMLInputElement).value))).toEqual(expect.arrayContaining(["1,234", "1000000", "2026-05-05"]));
  await page.context().close();
});

test("a plot has a name that sums it up, the same words under it, and a table beside it", async () => {
  const page = await open(browser, market, "person");
  const category = screens.find((s) => s.name === "category");
  if (!category) throw new Error("no screen with a plot");
  await go(page, category);
  const label = await page.locator("figure.plot [role=img]").getAttribute("aria-label");
  expect(label).toMatch(/between [\d.,]+ and [\d.,]+/);
  expect(await page.locator("figure.plot figcaption").textContent()).toContain(label ?? "");
  await page.getByRole("button", { name: "Table" }).press("Enter");
  expect(await page.locator("main tbody tr").count()).toBeGreaterThan(5);
  await page.context().close();
});
