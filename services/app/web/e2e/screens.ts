// Every screen there is, in one table: what is tested over all screens reads it, so a new screen is one more line here.
import type { Page } from "playwright-core";
import { settled, visit } from "./browser";

export type Reader = "nobody" | "newcomer" | "person" | "caller" | "buyer" | "finance" | "operator" | "auditor";

export interface Screen {
  /** Short name, for reports and pictures. */
  name: string;
  /** Who looks at it. */
  as: Reader;
  /** Its path; where only a link of another screen leads there, the path of that screen. */
  path: string;
  /** The link to follow from there. */
  link?: string;
  /** What is arranged before it is gone to. Answers with how to undo it. */
  before?: (page: Page) => Promise<() => Promise<void>>;
  /** What is done there before it is looked at: a question opened, a detail unfolded. */
  then?: (page: Page) => Promise<void>;
  /** What is done there opens a question over the page. */
  asks?: boolean;
}

const unfold = async (page: Page) => {
  await page.evaluate(() => {
    for (const more of document.querySelectorAll<HTMLElement>("main details:not([open]) > summary")) more.click();
  });
  await settled(page);
};

const press = (testid: string) => async (page: Page) => {
  await page.locator(`[data-testid="${testid}"]`).first().click();
  await page.locator("dialog[open] h2").waitFor();
};

// Nothing of the demonstration is set aside, so the browser plays a service that has set something aside.
const parked = async (page: Page) => {
  const one = { reaction: "offers.agreements", topic: "obole.consent.v1", stream: "11111111-1111-4111-8111-111111111111", position: "7", partition: 1, type: "consent_given", reason: "decode: unexpected end", waiting: "2", parkedAt: "1795700000000000" };
  const statuses = "**/rpc/at/offers/obole.log.v1.LogService/GetStatus";
  const lists = "**/rpc/at/offers/obole.log.v1.LogService/ListParked";
  await page.route(statuses, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), parked: [{ reaction: one.reaction, parked: "3" }] } });
  });
  await page.route(lists, (route) => route.fulfill({ json: { parked: [one] } }));
  return async () => {
    await page.unroute(statuses);
    await page.unroute(lists);
  };
};

/** Shows a plot as a table, where each row can be corrected. */
const asTable = async (page: Page) => {
  await page.locator("main .card .segments").first().locator("button").nth(1).click();
  await page.getByTestId("correct").first().waitFor();
};

// An answer of a service with something of it changed: a state that the demonstration has nobody in.
const played = (method: string, change: (answer: Json) => void) => async (page: Page) => {
  const calls = `**/rpc/${method}`;
  await page.route(calls, async (route) => {
    const answer = await route.fetch();
    const json = (await answer.json()) as Json;
    change(json);
    await route.fulfill({ response: answer, json });
  });
  await anew(page); // what was asked for already is not asked for again
  return async () => {
    await page.unroute(calls);
    await anew(page);
  };
};

const anew = async (page: Page) => {
  await page.reload();
  await settled(page);
};

type Json = Record<string, unknown>;

const barred = (reason: string, more: object = {}) =>
  played("obole.consent.v1.ConsentService/GetAccount", (a) => Object.assign(a.account as Json, { notEligible: `REASON_${reason}`, ...more }));

// The introduction is read once; who looks at it again has a browser that does not know.
const unread = async (page: Page) => {
  await page.evaluate(() => localStorage.removeItem("welcomed"));
  return () => Promise.resolve();
};

const open = (what: string) => async (page: Page) => {
  await page.locator(what).first().click();
  await page.locator("dialog[open] h2").waitFor();
  await settled(page);
};

const all: Screen[] = [
  { name: "welcome", as: "nobody", path: "/" },
  { name: "privacy-outside", as: "nobody", path: "/privacy" },
  { name: "join", as: "newcomer", path: "/", before: unread },
  {
    name: "join-form",
    as: "newcomer",
    path: "/",
    then: async (page) => {
      if (await page.locator("main .explain").count()) await page.locator("main .explain button").last().click();
      await page.locator("main form").waitFor();
    },
  },
  { name: "join-first", as: "newcomer", path: "/rules" },
  { name: "home", as: "person", path: "/" },
  { name: "home-unknown-age", as: "person", path: "/", before: barred("AGE_UNKNOWN") },
  { name: "home-under-age", as: "person", path: "/", before: barred("UNDER_AGE") },
  { name: "home-closed", as: "person", path: "/", before: barred("ACCOUNT_CLOSED", { closedAt: "1795700000000000" }) },
  { name: "settings", as: "person", path: "/", then: open("header.top button"), asks: true },
  { name: "more", as: "person", path: "/more" },
  { name: "data", as: "person", path: "/data" },
  {
    name: "data-restricted",
    as: "person",
    path: "/data",
    before: played("obole.delivery.v1.DeliveryService/ListSources", (a) => {
      for (const source of (a.sources ?? []) as Json[]) source.restrictedAt = "1795700000000000";
    }),
  },
  {
    name: "import-failed",
    as: "person",
    path: "/data",
    then: async (page) => {
      await page.getByTestId("import-file").setInputFiles({ name: "daily.csv", mimeType: "text/csv", buffer: Buffer.from("Id,ActivityDate,TotalSteps\n1,4/12/2016,many\n") });
      await page.locator("main select").last().selectOption("fitabase-csv");
      await page.getByTestId("import").click();
      await page.getByTestId("import-error").waitFor();
    },
  },
  { name: "category", as: "person", path: "/data", link: "main a.tile" },
  { name: "category-table", as: "person", path: "/data/omh:step-count:3.0", then: asTable },
  {
    name: "correct",
    as: "person",
    path: "/data/omh:step-count:3.0",
    asks: true,
    then: async (page) => {
      await asTable(page);
      await press("correct")(page);
      await settled(page);
      await page.getByTestId("correct-point").first().click();
      await page.getByTestId("correct-save").waitFor();
    },
  },
  { name: "mobile", as: "caller", path: "/data/mobile", then: unfold },
  { name: "offers", as: "person", path: "/offers" },
  { name: "offer", as: "person", path: "/offers", link: "main a.offer", then: unfold },
  { name: "offer-confirm", as: "person", path: "/offers", link: "main a.offer", then: press("accept"), asks: true },
  {
    name: "offer-health",
    as: "person",
    path: "/offers",
    link: "main a.offer",
    asks: true,
    then: async (page) => {
      await press("accept")(page);
      await press("confirm")(page);
      await page.getByTestId("confirm-health").waitFor();
    },
  },
  { name: "uses", as: "person", path: "/uses", then: unfold },
  { name: "use", as: "person", path: "/uses", link: "main .long a.item" },
  { name: "withdraw", as: "person", path: "/uses", then: press("withdraw"), asks: true },
  { name: "money", as: "person", path: "/money" },
  { name: "payout-ask", as: "person", path: "/money", then: press("ask-payout"), asks: true },
  { name: "money-part", as: "person", path: "/money?by=buyer", link: "main .list a.item" },
  { name: "rules", as: "person", path: "/rules" },
  {
    name: "rules-changed",
    as: "person",
    path: "/rules",
    then: async (page) => {
      await page.locator("main input[inputmode=decimal]").first().fill("9.5");
      await page.getByTestId("rules-save").waitFor();
      await settled(page);
    },
  },
  {
    name: "rules-health",
    as: "person",
    path: "/rules",
    asks: true,
    then: async (page) => {
      const [matching, health] = [page.getByRole("switch").nth(0), page.getByRole("switch").nth(1)];
      if ((await matching.getAttribute("aria-checked")) !== "true") await matching.click();
      if ((await health.getAttribute("aria-checked")) === "true") await health.click();
      await health.click();
      await page.locator("dialog[open] h2").waitFor();
    },
  },
  { name: "inbox", as: "person", path: "/inbox" },
  { name: "record", as: "person", path: "/record" },
  { name: "record-entry", as: "person", path: "/record", then: open("main .long button.item"), asks: true },
  { name: "rights", as: "person", path: "/rights" },
  { name: "close", as: "person", path: "/rights", then: press("close-account"), asks: true },
  { name: "privacy", as: "person", path: "/privacy" },
  { name: "lost", as: "person", path: "/no-such-screen" },
  { name: "bids", as: "buyer", path: "/console/bids" },
  { name: "bid-withdraw", as: "buyer", path: "/console/bids", then: press("bid-withdraw"), asks: true },
  { name: "bid", as: "buyer", path: "/console/bids/new" },
  {
    name: "bid-recipients",
    as: "buyer",
    path: "/console/bids/new",
    then: async (page) => {
      await page.getByTestId("add-recipient").click();
      await settled(page);
    },
  },
  { name: "funds", as: "buyer", path: "/console/funds" },
  { name: "deliveries", as: "buyer", path: "/console/deliveries" },
  { name: "package", as: "buyer", path: "/console/deliveries", link: "main .long a.item" },
  { name: "balance", as: "finance", path: "/console/balance" },
  { name: "payouts", as: "finance", path: "/console/payouts" },
  { name: "payouts-settled", as: "finance", path: "/console/payouts?state=SETTLED" },
  { name: "payout-told", as: "finance", path: "/console/payouts", then: press("payout-instruct"), asks: true },
  { name: "statement", as: "finance", path: "/console/statement" },
  { name: "replay", as: "finance", path: "/console/replay" },
  {
    name: "replay-end",
    as: "finance",
    path: "/console/replay",
    then: async (page) => {
      await page.getByTestId("replay").click();
      await page.getByTestId("replay-end").waitFor();
    },
  },
  { name: "buyers", as: "operator", path: "/console/buyers" },
  { name: "buyers-vetted", as: "operator", path: "/console/buyers?state=VETTED" },
  { name: "suspend", as: "operator", path: "/console/buyers?state=VETTED", then: press("buyer-suspend"), asks: true },
  { name: "audit-balance", as: "auditor", path: "/console/balance" },
  { name: "audit-payouts", as: "auditor", path: "/console/payouts" },
  { name: "audit-buyers", as: "auditor", path: "/console/buyers?state=VETTED" },
  { name: "audit-services", as: "auditor", path: "/console/services" },
  { name: "services", as: "operator", path: "/console/services" },
  { name: "services-parked", as: "operator", path: "/console/services", before: parked },
  { name: "redrive", as: "operator", path: "/console/services", before: parked, then: press("redrive"), asks: true },
];

// SCREENS=REGEXP looks at those of that name alone, while one is written.
const only = new RegExp(process.env.SCREENS ?? "");
export const screens: readonly Screen[] = all.filter((s) => only.test(s.name));

// How to undo what was arranged for the screen before.
const arranged = new WeakMap<Page, () => Promise<void>>();

/** Goes to a screen. */
export async function go(page: Page, s: Screen): Promise<void> {
  await arranged.get(page)?.();
  arranged.delete(page);
  if (s.before) {
    arranged.set(page, await s.before(page));
    await visit(page, "/privacy"); // a screen that stands asks anew only after a while
  }
  await visit(page, s.path);
  if (s.link) await follow(page, s.link);
  await s.then?.(page);
}

/** Follows the first link of that kind. */
async function follow(page: Page, link: string): Promise<void> {
  const to = await page.locator(link).first().getAttribute("href");
  if (!to) throw new Error(`no ${link} on ${page.url()}`);
  await visit(page, to);
}
