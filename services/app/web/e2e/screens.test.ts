// Every screen of every role, in each language and both themes: axe has nothing against it, it does not scroll sideways on a phone, it keeps
// its own policy, asks nobody else and throws nothing.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { against } from "./axe";
import { count, launch, settled } from "./browser";
import { Market } from "./market";
import { go, screens, type Reader } from "./screens";
import { ask, buyer, open, speak } from "./world";

const languages = ["en", "fr", "es"] as const;
const themes = ["light", "dark"] as const;

const market = new Market(inject("market"));
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
  await ask(market, await buyer(market, "A study of steps"), { price: "0.07 EUR", slots: 300, most: 5, cadence: "once" });
});

afterAll(async () => {
  await browser?.close();
});

/** Writes down what the page does wrong while it is used. A file that is refused is what one of the screens is about. */
function watch(page: Page): string[] {
  const wrong: string[] = [];
  page.on("console", (m) => m.type() === "error" && !m.location().url.includes("/import") && wrong.push(`console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`thrown: ${e.message}`));
  page.on("request", (r) => new URL(r.url()).origin !== market.page && wrong.push(`asked ${r.url()}`));
  return wrong;
}

/** How many pixels the page is wider than its window. */
const wider = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

test("axe finds what is wrong, so that its silence says something", async () => {
  const page = await open(browser, market, "nobody");
  await page.evaluate(() => document.querySelector("main")?.append(document.createElement("button")));
  expect((await against(page)).filter((v) => v.startsWith("button-name:"))).toHaveLength(1);
  await page.context().close();
});

test("the policy is on: what is written into the page does not run, and what it would ask elsewhere is not asked", async () => {
  const page = await open(browser, market, "nobody");
  const wrong = watch(page);
  await page.evaluate(() => {
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
  });
  expect(await page.evaluate(() => "ran" in window)).toBe(false);
  await expect.poll(() => wrong.join()).toContain("Content Security Policy");
  await page.context().close();
});

test("an address that is none: told so in the browser's language, with 404, in the house's own dress and without a script of its own", async () => {
  for (const [locale, title] of [
    ["fr-BE", "Rien ici"],
    ["es-ES", "Aquí no hay nada"],
    ["de-DE", "Nothing here"],
  ] as const)
    for (const colorScheme of themes) {
      const context = await browser.newContext({ locale, colorScheme, viewport: { width: 360, height: 800 } });
      const page = await context.newPage();
      const answer = await page.goto(`${market.page}/nosuch`);
      expect(answer?.status()).toBe(404);
      expect(answer?.headers()["content-security-policy"]).toContain("script-src 'self'");
      expect(await page.locator("h1").textContent()).toBe(title);
      expect(await page.locator("html").getAttribute("lang")).toBe(locale === "de-DE" ? "en" : locale.slice(0, 2));
      expect(await page.locator("script:not([src]), [style]").count()).toBe(0);
      expect(await against(page)).toEqual([]);
      expect(await wider(page)).toBe(0);
      const folder = process.env.SCREENSHOTS;
      if (folder) await page.screenshot({ path: `${folder}/nosuch-${locale}-${colorScheme}-360.png` });
      await page.locator("main a.button").click();
      await page.locator('header a[href^="/login"]').waitFor();
      await context.close();
    }
});

test("the first load asks nothing that is refused, signed in or not", async () => {
  const context = await browser.newContext({ locale: "en-IE", serviceWorkers: "block" });
  context.setDefaultTimeout(10_000);
  const page = count(await context.newPage());
  const wrong = watch(page);
  const refused: string[] = [];
  page.on("response", (r) => r.status() >= 400 && refused.push(`${r.status()} ${r.url()}`));
  await page.goto(market.page);
  await settled(page);
  for (const label of ["Somebody new", "A sleep study", "Finance", "Operator"]) {
    await page.locator('header a[href^="/login"]').click();
    await page.locator("form button").filter({ hasText: new RegExp(`^${label}`) }).first().click();
    await page.locator("nav.nav").waitFor();
    await settled(page);
    await page.reload();
    await settled(page);
    await page.locator("header.top button").click();
    await page.locator("dialog[open] button").filter({ hasText: "Sign out" }).first().click();
    await page.locator('header a[href^="/login"]').waitFor();
  }
  expect(refused).toEqual([]);
  expect(wrong.filter((w) => !w.startsWith("asked "))).toEqual([]);
  await context.close();
});

/** Looks at every screen of one reader as the page stands dressed, and writes down what is wrong. */
async function look(page: Page, as: Reader, at: string, width: number, wrong: string[]): Promise<void> {
  for (const screen of screens.filter((s) => s.as === as)) {
    await go(page, screen);
    wrong.push(...(await against(page)).map((v) => `${screen.name} ${at}: ${v}`));
    const wide = await wider(page);
    if (wide > 0) wrong.push(`${screen.name} ${at}: ${wide} px wider than ${width} px`);
    const folder = process.env.SCREENSHOTS;
    if (folder) await page.screenshot({ path: `${folder}/${screen.name}-${at.replaceAll(" ", "-")}-${width}.png`, fullPage: true });
    // A question that stands open would cover the next screen.
    if (await page.locator("dialog[open]").count()) await page.keyboard.press("Escape");
  }
}

for (const as of [...new Set(screens.map((s) => s.as))])
  test.concurrent(`${as}: axe has nothing against any screen in any language and theme, on a phone nor on a desk`, async () => {
    const page = await open(browser, market, as);
    const wrong = watch(page);
    for (const language of languages)
      for (const theme of themes) {
        await speak(page, as, language, theme);
        await look(page, as, `${language} ${theme}`, 360, wrong);
      }
    await page.setViewportSize({ width: 1280, height: 900 });
    await look(page, as, "es dark", 1280, wrong);
    expect(wrong).toEqual([]);
    await page.context().close();
  });
