// Every screen there is, in one table: what is tested over all screens reads it, so a new screen is one more line here.
import type { Page } from "playwright-core";
import { settled, visit } from "./browser";

export type Reader = "nobody" | "newcomer" | "person" | "caller" | "walker" | "buyer" | "finance" | "operator";

export interface Screen {
  /** Short name, for reports and pictures. */
  name: string;
  /** Who looks at it. */
  as: Reader;
  /** Its path; where only a link of another screen leads there, the path of that screen. */
  path: string;
  /** The link to follow from there. */
  link?: string;
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

/** Chooses one of several views, by their places on the page. */
const choose = async (page: Page, group: number, view: number) => {
  await page.locator("main .segments").nth(group).locator("button").nth(view).click();
  await settled(page);
};

export const screens: Screen[] = [
  { name: "welcome", as: "nobody", path: "/" },
  { name: "privacy-outside", as: "nobody", path: "/privacy" },
  { name: "join", as: "newcomer", path: "/" },
  { name: "home", as: "person", path: "/" },
  { name: "more", as: "person", path: "/more" },
  { name: "data", as: "person", path: "/data" },
  { name: "category", as: "person", path: "/data", link: "main a.tile" },
  {
    name: "correct",
    as: "person",
    path: "/data",
    link: "main a.tile",
    asks: true,
    then: async (page) => {
      await choose(page, 1, 1);
      await press("correct")(page);
      await press("correct-point")(page);
    },
  },
  { name: "mobile", as: "caller", path: "/data/mobile" },
  {
    name: "mobile-table",
    as: "caller",
    path: "/data/mobile",
    then: async (page) => {
      await choose(page, 3, 2);
      await choose(page, 4, 1);
    },
  },
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
  { name: "money-part", as: "person", path: "/money?by=buyer", link: "main .list a.item" },
  { name: "payout", as: "person", path: "/money", then: press("ask-payout"), asks: true },
  { name: "paid-out", as: "walker", path: "/money" },
  { name: "rules", as: "person", path: "/rules" },
  { name: "inbox", as: "person", path: "/inbox" },
  { name: "record", as: "person", path: "/record" },
  { name: "rights", as: "person", path: "/rights" },
  { name: "close", as: "person", path: "/rights", then: press("close-account"), asks: true },
  { name: "privacy", as: "person", path: "/privacy" },
  { name: "lost", as: "person", path: "/no-such-screen" },
  { name: "bids", as: "buyer", path: "/console/bids" },
  { name: "bid", as: "buyer", path: "/console/bids/new" },
  { name: "funds", as: "buyer", path: "/console/funds" },
  {
    name: "bid-recipient",
    as: "buyer",
    path: "/console/bids/new",
    then: async (page) => {
      await page.getByTestId("add-recipient").click();
    },
  },
  { name: "deliveries", as: "buyer", path: "/console/deliveries" },
  { name: "package", as: "buyer", path: "/console/deliveries", link: "main a.item" },
  { name: "balance", as: "finance", path: "/console/balance" },
  { name: "payouts", as: "finance", path: "/console/payouts?state=SETTLED" },
  { name: "statement", as: "finance", path: "/console/statement" },
  { name: "replay", as: "finance", path: "/console/replay" },
  { name: "buyers", as: "operator", path: "/console/buyers" },
  { name: "services", as: "operator", path: "/console/services" },
];

/** Goes to a screen. */
export async function go(page: Page, s: Screen): Promise<void> {
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
