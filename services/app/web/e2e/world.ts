// Who the tests sign in as, and what has happened to them before: the demonstration's people, and one more offer that waits.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { count, settled, signIn } from "./browser";
import type { Market } from "./market";
import type { Reader } from "./screens";

/** Brings a buyer with money to the market, as its own program and the operator do. Answers with its key file. */
export async function buyer(market: Market, name: string): Promise<string> {
  const key = join(market.folder, `${randomUUID()}.key`);
  await market.say("keys", key);
  await market.say(
    ...["buyer", "register", "--buyer", key, "--name", name, "--country", "BE", "--entity", `SYNTHETIC-${randomUUID().slice(0, 8)}`],
    ...["--dpo", "dpo@study.example", "--notice", "https://study.example/privacy"],
  );
  await market.say("buyer", "vet", key);
  await market.say("fund", "--buyer", key, "100 EUR", "--reference", `PAGE-${randomUUID().slice(0, 8)}`);
  return key;
}

export interface Asked {
  price: string;
  /** Slots in all. */
  slots: number;
  /** Slots of one person at most. */
  most: number;
  cadence: "once" | "daily";
}

/** Asks for steps, as a buyer's own program does: day and steps, and the energy for a fifth of the price. Answers with the bid's id. */
export async function ask(market: Market, key: string, asked: Asked): Promise<string> {
  const [said] = await market.say(
    ...["bid", "place", "--buyer", key, "--wait", "--product", "daily-steps", "--field", "date:exact,steps:hundred,energy:hundred=20"],
    ...["--purpose", "AcademicResearch", "--price", asked.price, "--slots", String(asked.slots), "--per-person", String(asked.most)],
    ...["--days", "2016-04-12..2016-05-12", "--cadence", asked.cadence, "--closes", "72h", "--retention", "365"],
  );
  return String(said?.bid_id);
}

/** Calls an RPC as the page does, with its session. */
export async function call(page: Page, method: string, request: object): Promise<Record<string, unknown>> {
  return page.evaluate(
    async ([m, r]) => {
      const answer = await fetch(`/rpc/${m}`, { method: "POST", headers: { "Content-Type": "application/json", "Connect-Protocol-Version": "1" }, body: r });
      const body = (await answer.json()) as Record<string, unknown>;
      if (!answer.ok) throw new Error(`${m}: ${JSON.stringify(body)}`);
      return body;
    },
    [method, JSON.stringify(request)] as const,
  );
}

/** An event about a person, as its service tells it. */
export interface Told {
  type: string;
  place: { service: string; partition?: number; position: string };
  [field: string]: unknown;
}

/** Every event about a person that the four logs hold, by when they happened. */
export async function events(page: Page, person: string): Promise<Told[]> {
  const all = await Promise.all(
    ["consent.v1.Consent", "delivery.v1.Delivery", "offers.v1.Offers", "settlement.v1.Settlement"].map(async (s) => {
      const answer = await call(page, `obole.${s}Service/ListRecord`, { subscriberId: person, pageSize: 1000 });
      return (answer.entries ?? []) as Told[];
    }),
  );
  return all.flat().sort((a, b) => Number(a.at) - Number(b.at));
}

const languages = { en: "English", fr: "Français", es: "Español" } as const;

/** Chooses a language, and a theme where there is one, by the page's own settings; who has not signed in has them on the page. */
export async function speak(page: Page, as: Reader, language: keyof typeof languages, theme?: "light" | "dark"): Promise<void> {
  if (as !== "nobody") await page.locator("header.top button").click();
  if (theme && as === "nobody") await page.emulateMedia({ colorScheme: theme }); // their system's theme holds
  if (theme && as !== "nobody") await page.locator("dialog[open] .segments").nth(1).locator("button").nth(theme === "light" ? 1 : 2).click();
  await page.getByRole("button", { name: languages[language], exact: true }).click();
  await page.waitForFunction((l) => document.documentElement.lang === l, language);
  if (as !== "nobody") await page.keyboard.press("Escape");
  await settled(page);
}

const labels: Record<Reader, string> = {
  nobody: "",
  newcomer: "Somebody new",
  person: "Participant 2347167796",
  caller: "Participant 1624580081", // the operator's feed is given to them
  buyer: "A sleep study",
  finance: "Finance",
  operator: "Operator",
  auditor: "Auditor",
};

/** A page as somebody sees it first. */
export async function open(browser: Browser, market: Market, as: Reader): Promise<Page> {
  if (as !== "nobody") return signIn(browser, market.page, labels[as]);
  const context = await browser.newContext({ locale: "en-IE", reducedMotion: "reduce", viewport: { width: 360, height: 800 } });
  context.setDefaultTimeout(10_000);
  const page = count(await context.newPage());
  await page.goto(market.page);
  await settled(page);
  return page;
}
