// When something is not as it should be: the page says what happened and what to do, loses nothing that was entered, and never shows as valid
// what it cannot know.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { count, launch, settled, signIn, visit } from "./browser";
import { Market } from "./market";
import { ask, buyer, call, events } from "./world";

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
  await living.getByText("Active", { exact: true }).waitFor();
  await page.context().setOffline(true);
  await living.getByText("Not confirmed").waitFor();
  expect(await living.getByText("Active", { exact: true }).count()).toBe(0);
  await page.context().setOffline(false);
  await living.getByText("Active", { exact: true }).waitFor({ timeout: 30_000 });
  await page.context().close();
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
  expect(await error.textContent()).toContain("Line 3");
  expect(await page.getByLabel("Time zone of the measurements").inputValue()).toBe("America/New_York");
  expect((await call(page, "obole.delivery.v1.DeliveryService/GetSummary", { subscriberId: me })).categories ?? []).toEqual([]);
  expect((await call(page, "obole.delivery.v1.DeliveryService/ListSources", { subscriberId: me })).sources ?? []).toEqual([]);
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
  await page.context().close();
});
