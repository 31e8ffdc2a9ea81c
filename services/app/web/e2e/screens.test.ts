// Every screen of every role, in each language and both themes: axe has nothing against it, it does not scroll sideways on a phone, it keeps
// its own policy, asks nobody else and throws nothing.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { against } from "./axe";
import { launch } from "./browser";
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

/** Writes down what the page does wrong while it is used. */
function watch(page: Page): string[] {
  const wrong: string[] = [];
  page.on("console", (m) => m.type() === "error" && wrong.push(`console: ${m.text()}`));
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
