// When something is not as it should be: the page says what happened and what to do, loses nothing that was entered, and never shows as valid
// what it cannot know.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { count, launch, settled, signIn, visit } from "./browser";
import { Market } from "./market";
import { ask, buyer, call, events, speak } from "./world";

const market = new Market(inject("market"));
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
});

// Somebody of the demonstration with an agreement that lives: not every day that it is for has been measured.
const person = "Participant 1644430081";
const main = (page: Page) => page.locator("main");

/** Somebody new who has joined. */
async function joined(): Promise<Page> {
  const page = await signIn(browser, market.page, "Somebody new");
  await page.getByRole("button", { name: "Skip" }).click();
  await page.getByLabel("Date of birth").fill("1990-02-03");
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByTestId("earned-total").waitFor();
  return page;
}

test("without a network: what is shown is marked, no consent stands as valid, what was entered stays, and it comes back", async () => {
  const page = await signIn(browser, market.page, person);
  await visit(page, "/rules");
  const floor = page.getByLabel("Daily steps").first();
  const wish = (0.3 + Math.random() / 10).toFixed(5);
  await floor.fill(wish);
  const save = page.getByTestId("rules-save");
  await save.waitFor();
  await page.context().setOffline(true);
  await main(page).getByText("You are offline.").waitFor();
  await expect.poll(() => save.getAttribute("aria-disabled")).toBe("true");
  expect(await floor.inputValue()).toBe(wish);
  await page.context().setOffline(false);
  await save.click(); // once it can be pressed again
  await expect.poll(() => page.getByTestId("said").textContent()).toContain("Your rules are saved.");

  await visit(page, "/uses");
  const living = main(page).locator("section").filter({ hasText: "What you have agreed to" });
  await living.getByText("Active", { exact: true }).first().waitFor();
  await page.context().setOffline(true);
  await living.getByText("Not confirmed").first().waitFor();
  expect(await living.getByText("Active", { exact: true }).count()).toBe(0);
  await page.context().setOffline(false);
  await living.getByText("Active", { exact: true }).first().waitFor({ timeout: 30_000 });
  await page.context().close();
});

test("a piece of the page that does not come: said, asked for again, and the next screen is not touched by it", async () => {
  const page = await signIn(browser, market.page, person, { serviceWorkers: "block" });
  await page.route("**/assets/money-*.js", (route) => route.abort());
  await visit(page, "/money");
  await main(page).getByText("A piece of the page did not come.").waitFor();
  await visit(page, "/uses");
  await main(page).getByText("What you have agreed to").waitFor();
  await visit(page, "/money");
  await main(page).getByText("A piece of the page did not come.").waitFor();
  await page.unroute("**/assets/money-*.js");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByTestId("earned-total").waitFor();

  // After a new page was put up, the pieces of the one that is open are gone: it is loaded anew.
  await page.route("**/assets/rules-*.js", (route) => route.fulfill({ status: 404, body: "gone" }));
  await visit(page, "/rules");
  const again = page.getByRole("button", { name: "Try again" });
  await again.waitFor();
  await page.evaluate(() => ((window as { before?: true }).before = true));
  await again.click();
  await page.waitForFunction(() => !("before" in window));
  await again.waitFor();

  // A language whose words do not come leaves the page in the one that it has.
  await page.route("**/assets/fr-*.js", (route) => route.abort());
  await page.locator("header.top button").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Français", exact: true }).click();
  await dialog.getByText("A piece of the page did not come.").waitFor();
  expect(await page.evaluate(() => [document.documentElement.lang, localStorage.getItem("language")])).toEqual(["en", null]);
  await page.unroute("**/assets/fr-*.js");
  await dialog.getByRole("button", { name: "Try again" }).click();
  await page.waitForFunction(() => document.documentElement.lang === "fr");
  await page.context().close();
});

test("no words at all: said in each language", async () => {
  const context = await browser.newContext({ locale: "es-ES", serviceWorkers: "block" });
  const page = await context.newPage();
  await page.route("**/assets/es-*.js", (route) => route.abort());
  await page.goto(market.page);
  await page.getByText("No se pudo cargar la página.").waitFor();
  await page.unroute("**/assets/es-*.js");
  await page.locator("main button").click();
  await page.locator('header a[href^="/login"]').waitFor();
  await context.close();
});

test("an address that names nothing is told so, whatever stands in it", async () => {
  const page = await signIn(browser, market.page, person);
  const thrown: string[] = [];
  page.on("pageerror", (e) => thrown.push(e.message));
  for (const odd of ["/record?service=delivery&position=abc", "/record?service=settlement&position=-1", "/offers/%ff", "/offers/nosuch", "/uses/nosuch", "/money?by=month&key=nonsense", "/money?by=buyer&key=1"]) {
    await visit(page, odd);
    await main(page).getByRole("heading", { name: "Nothing here" }).waitFor();
    await visit(page, "/more");
  }
  await visit(page, "/record?service=delivery&position=999999999");
  await main(page).locator(".empty").waitFor();
  expect(thrown).toEqual([]);
  await page.context().close();
});

test("rules that are changed in two tabs: nothing typed vanishes, nothing saved elsewhere is overwritten unseen", async () => {
  const one = await signIn(browser, market.page, "Participant 4020332650");
  const two = count(await one.context().newPage());
  await two.goto(`${market.page}/rules`);
  await settled(two);
  await visit(one, "/rules");
  const floor = (page: Page) => page.getByLabel("Daily steps").first();
  const most = (page: Page) => page.getByLabel("Agreements at once, at most");
  await floor(one).fill("0.0123");
  await floor(two).fill("0.0456");
  await most(two).fill("77");
  await two.getByTestId("rules-save").click();
  await expect.poll(() => two.getByTestId("said").textContent()).toContain("Your rules are saved.");
  await one.getByTestId("rules-elsewhere").waitFor({ timeout: 20_000 });
  expect(await one.getByTestId("rules-elsewhere").textContent()).toContain("0.0456");
  expect(await floor(one).inputValue()).toBe("0.0123");
  await expect.poll(() => most(one).inputValue()).toBe("77"); // untouched here, so as it was set there
  // What the language changes is how a number is written, not the number.
  const typed = () => one.locator("main input").evaluateAll((all) => all.map((i) => (i as HTMLInputElement).value).filter((v) => v.endsWith("0123")));
  await speak(one, "person", "fr");
  expect(await typed()).toEqual(["0,0123"]);
  await speak(one, "person", "en");
  await one.getByTestId("rules-save").click();
  await expect.poll(() => one.getByTestId("said").textContent()).toContain("Your rules are saved.");
  await expect.poll(() => floor(two).inputValue(), { timeout: 20_000 }).toBe("0.0123");
  await floor(one).fill("0,064"); // means nothing in English, and is not guessed
  await main(one).getByText("“0,064” can be read in more than one way. Write 0.064.").waitFor();
  await one.context().close();
});

test("somebody else signs in: the other tab shows nothing more of who was there", async () => {
  const one = await signIn(browser, market.page, person);
  const name = (page: Page) => page.locator("header.top button").getAttribute("aria-label");
  expect(await name(one)).toContain(person);
  await visit(one, "/money");
  const two = await one.context().newPage();
  await two.goto(`${market.page}/login`);
  await two.locator("form button").filter({ hasText: /^Participant 2347167796/ }).first().click();
  await two.locator("nav.nav").waitFor();
  await expect.poll(() => name(one)).toContain("Participant 2347167796");
  // A tab that was not told finds out with the first thing that it is refused.
  const other = await signIn(browser, market.page, person);
  await one.context().addCookies(await other.context().cookies());
  await one.locator('nav a[href="/uses"]').click();
  await expect.poll(() => name(one), { timeout: 20_000 }).toContain(person);
  await expect.poll(() => name(two), { timeout: 20_000 }).toContain(person); // told by the first; a context that is closed amid a reload may hang
  await other.context().close();
  await one.context().close();
});

test("a link into the page leads there after signing in, and back leads to where somebody was", async () => {
  const context = await browser.newContext({ locale: "en-IE", reducedMotion: "reduce", viewport: { width: 360, height: 640 } });
  context.setDefaultTimeout(10_000);
  const page = count(await context.newPage());
  await page.goto(`${market.page}/money?by=product`);
  await page.locator('header a[href^="/login"]').click();
  await page.locator("form button").filter({ hasText: new RegExp(`^${person}`) }).first().click();
  await page.locator("nav.nav").waitFor();
  expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe("/money?by=product");
  await settled(page);
  await page.evaluate(() => scrollTo(0, 400));
  await page.locator('footer a[href="/privacy"]').evaluate((a: HTMLElement) => a.click());
  await page.locator("#rights").waitFor();
  expect(await page.evaluate(() => scrollY)).toBe(0);
  await page.goBack();
  await expect.poll(() => page.evaluate(() => Math.round(scrollY))).toBe(400);
  await page.goto(`${market.page}/privacy#rights`);
  await page.locator("#rights").waitFor();
  await expect.poll(() => page.evaluate(() => Math.abs(document.getElementById("rights")?.getBoundingClientRect().top ?? 999))).toBeLessThan(120);
  await context.close();
});

test("a service that is down: its screens say so, the others go on, and nothing of it stands as valid", async () => {
  const page = await signIn(browser, market.page, person);
  await page.route("**/rpc/obole.consent.v1.ConsentService/*", (route) => route.fulfill({ status: 503, contentType: "application/json", body: '{"code":"unavailable","message":"down"}' }));
  await page.reload();
  await page.getByTestId("stale").first().waitFor(); // as it stood when it was last seen
  await page.getByTestId("earned-total").waitFor(); // settlement answers
  await visit(page, "/uses");
  expect(await main(page).getByText("Active", { exact: true }).count()).toBe(0);
  await page.unroute("**/rpc/obole.consent.v1.ConsentService/*");
  await main(page).getByText("Active", { exact: true }).first().waitFor({ timeout: 30_000 });

  // A command whose answer is lost is the same command when it is tried again.
  await page.route("**/rpc/obole.consent.v1.ConsentService/Pause", (route) => route.abort());
  await page.getByTestId("pause-all").click();
  await main(page).getByText("No answer came.").waitFor();
  expect(await page.getByTestId("pause-all").getAttribute("aria-checked")).toBe("false");
  await page.unroute("**/rpc/obole.consent.v1.ConsentService/Pause");
  await page.getByRole("button", { name: "Try again" }).first().click();
  await expect.poll(() => page.getByTestId("pause-all").getAttribute("aria-checked")).toBe("true");
  await page.getByTestId("pause-all").click();
  await expect.poll(() => page.getByTestId("pause-all").getAttribute("aria-checked")).toBe("false");
  await page.context().close();
});

test("a slow network: the page says that it waits, and for what comes nothing is lost", async () => {
  const page = await signIn(browser, market.page, person);
  let go: () => void = () => undefined;
  const gate = new Promise<void>((open) => (go = open));
  await page.route("**/rpc/obole.settlement.v1.SettlementService/*", async (route) => {
    await gate;
    await route.continue();
  });
  await page.reload();
  await page.getByRole("status", { name: "Loading" }).first().waitFor();
  go();
  await page.getByTestId("earned-total").waitFor();
  await page.context().close();
});

test("a session that is over: said at once, with the way back in, and what was entered stays", async () => {
  const page = await signIn(browser, market.page, person);
  await visit(page, "/rules");
  const floor = page.getByLabel("Daily steps").first();
  await page.context().clearCookies();
  await floor.fill("0.44"); // what it would hide is asked for, and refused
  await main(page).getByText("Your session is over.").first().waitFor();
  expect(await floor.inputValue()).toBe("0.44");
  expect(await main(page).getByRole("link", { name: "Sign in again" }).first().getAttribute("href")).toMatch(/^\/login\?to=%2Frules/);
  await page.context().close();
});

test("whoever comes after a session that is over sees nothing of it, without a network too", async () => {
  const page = await signIn(browser, market.page, person);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const kept = () =>
    page.evaluate(
      () =>
        new Promise<number>((done, failed) => {
          const asked = indexedDB.open("obole", 1);
          asked.onerror = () => failed(asked.error);
          asked.onsuccess = () => {
            const all = asked.result.transaction("last").objectStore("last").count();
            all.onsuccess = () => done(all.result);
          };
        }),
    );
  await expect.poll(kept).toBeGreaterThan(0);
  await page.context().clearCookies();
  await page.reload();
  await page.locator('a[href^="/login"]').first().waitFor();
  await expect.poll(kept).toBe(0);
  await page.context().setOffline(true);
  await page.reload();
  await page.locator(".main .notice, .main [role=alert]").first().waitFor();
  expect(await page.locator("nav.nav").count()).toBe(0);
  expect(await page.getByTestId("earned-total").count()).toBe(0);
  await page.context().close();
});

test("a command that is refused: said in words, and nothing is lost", async () => {
  const page = await signIn(browser, market.page, "Participant 8792009665");
  const name = "A study that ends";
  const key = await buyer(market, name);
  const bid = await ask(market, key, { price: "0.11 EUR", slots: 300, most: 5, cadence: "once" });
  await visit(page, "/offers");
  const card = page.locator("main a.offer").filter({ hasText: name }).first();
  await card.waitFor({ timeout: 25_000 });
  await card.click();
  await page.getByTestId("accept").click();
  await page.getByTestId("confirm").click();
  await page.getByRole("dialog").getByRole("checkbox").check();
  await market.say("bid", "withdraw", "--buyer", key, bid);
  await page.getByTestId("confirm-health").click();
  // Either the page has seen by itself that the offer is gone, or the refusal is told; never an agreement.
  await page.locator("dialog[open] .notice, main :text('This offer is not open any more'), main :text('Came to nothing')").first().waitFor({ timeout: 25_000 });
  expect(await page.getByTestId("outcome").count()).toBe(0);
  await page.context().close();
});

test("a file that cannot be read: the line and the field are named, and nothing of it is kept", async () => {
  const page = await joined();
  const me = String(((await page.evaluate(async () => (await fetch("/api/me")).json())) as { subject: string }).subject);
  const file = join(market.folder, "wrong.csv");
  await writeFile(file, "Id,ActivityDate,TotalSteps\n1503960366,4/12/2016,13162\n1503960366,4/13/2016,many\n");
  await visit(page, "/data");
  await page.getByTestId("import-file").setInputFiles(file);
  await page.getByLabel("What kind of file it is").selectOption("fitabase-csv");
  await page.getByLabel("Time zone of the measurements").fill("America/New_York");
  await page.getByTestId("import").click();
  const error = page.getByTestId("import-error");
  await error.waitFor();
  expect(await error.textContent()).toBe("Line 3 cannot be read. “TotalSteps” is not a number.");
  expect(await page.getByLabel("Time zone of the measurements").inputValue()).toBe("America/New_York");
  expect((await call(page, "obole.delivery.v1.DeliveryService/GetSummary", { subscriberId: me })).categories ?? []).toEqual([]);
  expect((await call(page, "obole.delivery.v1.DeliveryService/ListSources", { subscriberId: me })).sources ?? []).toEqual([]);
  await writeFile(file, "Id,ActivityDate,TotalSteps\n");
  await page.getByTestId("import-file").setInputFiles(file);
  await page.getByLabel("What kind of file it is").selectOption("fitabase-csv");
  await page.getByTestId("import").click();
  await page.getByTestId("import-nothing").waitFor();
  await page.context().close();
});

test("opened without a network, the page shows the last state, and says of when it is", async () => {
  const page = await signIn(browser, market.page, person);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await visit(page, "/uses");
  await visit(page, "/");
  await page.context().setOffline(true);
  await page.reload();
  await main(page).getByText("You are offline.").waitFor();
  await page.getByTestId("stale").first().waitFor();
  expect(await page.getByTestId("earned-total").textContent()).toMatch(/€/);
  expect(await main(page).getByText("Active", { exact: true }).count()).toBe(0);
  await main(page).getByText("Not confirmed").first().waitFor();
  await page.context().close();
});

test("two tabs: what is done in one is seen in the other, and leaving in one leaves both", async () => {
  const one = await signIn(browser, market.page, person);
  const two = count(await one.context().newPage());
  await two.goto(market.page);
  await settled(two);
  await expect.poll(() => two.getByTestId("line").getAttribute("data-line"), { timeout: 20_000 }).toBe("live");
  await one.getByTestId("pause-all").click();
  await expect.poll(() => two.getByTestId("pause-all").getAttribute("aria-checked"), { timeout: 20_000 }).toBe("true");
  await one.getByTestId("pause-all").click();
  await expect.poll(() => two.getByTestId("pause-all").getAttribute("aria-checked"), { timeout: 20_000 }).toBe("false");
  await one.locator("header.top button").click();
  await one.getByRole("button", { name: "Sign out", exact: true }).click();
  for (const tab of [one, two]) await tab.locator('a[href^="/login"]').first().waitFor();
  expect(await two.evaluate(() => localStorage.getItem("person"))).toBeNull();
  await one.context().close();
});

test("who has not joined is shown the way in, where nothing else would be taken", async () => {
  const page = await signIn(browser, market.page, "Somebody new");
  for (const path of ["/data", "/rules"]) {
    await visit(page, path);
    await main(page).getByText("You have not joined yet").waitFor();
    expect(await page.locator("main input").count()).toBe(0);
  }
  await main(page).getByRole("link", { name: "Join" }).click();
  await page.getByRole("button", { name: "Skip" }).click();
  await page.reload();
  await page.getByLabel("Date of birth").waitFor(); // the introduction is read once
  await page.getByRole("button", { name: "Join" }).click();
  await page.getByTestId("earned-total").waitFor();
  const why = main(page).locator(".notice").filter({ hasText: "Your age is not known to us." });
  expect(await why.getByRole("link").getAttribute("href")).toMatch(/^mailto:/);
  await page.context().close();
});

test("an account is closed on the page: all is withdrawn, the wish to be forgotten recorded, and what stays by law said", async () => {
  const page = await joined();
  const me = String(((await page.evaluate(async () => (await fetch("/api/me")).json())) as { subject: string }).subject);
  await visit(page, "/rights");
  await main(page).getByText("What the law keeps").waitFor();
  await page.getByTestId("close-account").click();
  expect(await page.getByTestId("close-now").getAttribute("aria-disabled")).toBe("true"); // until it is ticked
  await page.getByRole("dialog").getByRole("checkbox").check();
  await page.getByTestId("close-now").click();
  await page.getByTestId("closed").waitFor();
  await expect.poll(async () => (await events(page, me)).map((e) => e.type)).toContain("erasure_requested");
  await visit(page, "/");
  const why = main(page).locator(".notice").filter({ hasText: "Your account is closed." });
  await why.waitFor();
  expect(await why.textContent()).not.toMatch(/an age of|delete/);
  await visit(page, "/data");
  await main(page).getByText("Your account is closed.").waitFor();
  expect(await page.getByTestId("import-file").count()).toBe(0);
  await page.context().close();
});
