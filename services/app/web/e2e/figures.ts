// How fast the page is, printed in the form of the other figures of `make bench`: medians of five rounds, each beside its bar. A figure that misses its
// bar is printed, not failed.
import { writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { launch, settled, signIn, visit } from "./browser";
import { Market } from "./market";

const rounds = 5;
const market = new Market(inject("market"));
let browser: Browser;
const table: string[][] = [["path", "median", "unit", "bar", ""]];

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  const widths = table[0]?.map((_, i) => Math.max(...table.map((r) => (r[i] ?? "").length))) ?? [];
  const lines = table.map((r) => r.map((c, i) => c.padEnd(widths[i] ?? 0)).join("  ").trimEnd());
  console.log([...lines, `load of the machine: ${loadavg().map((l) => l.toFixed(1)).join(", ")}`].join("\n"));
});

const middle = (all: number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;

/** Prints the median of what was measured, and whether it keeps below a bar. */
function figure(path: string, got: number[], below?: number): void {
  expect(got.every((g) => g > 0)).toBe(true);
  const median = middle(got);
  table.push([path, median.toFixed(median < 100 ? 1 : 0), "ms", below === undefined ? "" : `< ${below}`, below === undefined ? "" : median < below ? "holds" : "missed"]);
}

/** Milliseconds that something takes, by the page's own clock, until it is there and has been painted. */
async function until(page: Page, there: string, start: () => Promise<unknown>): Promise<number> {
  await page.evaluate((selector) => {
    const from = performance.now();
    const took = new Promise<number>((done) => {
      const look = () => {
        if (document.querySelector(selector)) requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - from)));
        else requestAnimationFrame(look);
      };
      look();
    });
    Object.assign(window, { took });
  }, there);
  await start();
  return page.evaluate(() => (window as unknown as { took: Promise<number> }).took);
}

test("Home can be used", async () => {
  const page = await signIn(browser, market.page, "Participant 2347167796", { serviceWorkers: "block" });
  const network = await page.context().newCDPSession(page);
  await network.send("Network.setCacheDisabled", { cacheDisabled: true });
  // From the navigation on: what was earned stands there, the switch that pauses everything can be pressed, and the page answers.
  await page.addInitScript(() => {
    const ready = new Promise<number>((done) => {
      const look = () => {
        const earned = document.querySelector("[data-testid=earned-total]");
        const pause = document.querySelector("[data-testid=pause-all]:not([aria-disabled=true])");
        if (earned && pause && document.fonts.status === "loaded") setTimeout(() => done(performance.now()));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    Object.assign(window, { ready });
  });
  const got: number[] = [];
  for (let n = 0; n < rounds; n++) {
    await page.reload();
    got.push(await page.evaluate(() => (window as unknown as { ready: Promise<number> }).ready));
  }
  figure("Home, nothing cached, until it can be used", got, 1000);
  await page.context().close();
});

test("10,000 deliveries are scrolled through", async () => {
  const page = await signIn(browser, market.page, "Participant 2347167796");
  const all = 10_000;
  const uses = "**/rpc/obole.delivery.v1.DeliveryService/ListUses";
  let one: object | undefined;
  await page.route(uses, async (route) => {
    one ??= ((await (await route.fetch()).json()) as { uses: object[] }).uses[0];
    const asked = route.request().postDataJSON() as { pageToken?: string; pageSize?: number };
    const from = Number(asked.pageToken ?? 0);
    const to = Math.min(all, from + (asked.pageSize ?? 100));
    const rows = Array.from({ length: to - from }, (_, i) => ({ ...one, deliveryId: `00000000-0000-4000-8000-${String(from + i).padStart(12, "0")}` }));
    await route.fulfill({ json: { uses: rows, ...(to < all ? { nextPageToken: String(to) } : {}) } });
  });
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await visit(page, "/");
  await visit(page, "/uses");
  const list = page.locator("main .long ul");
  await expect
    .poll(
      async () => {
        await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
        return list.locator(`li[aria-setsize="${all}"]`).count();
      },
      { timeout: 120_000, interval: 50 },
    )
    .toBeGreaterThan(0);
  const medians: number[] = [];
  const worst: number[] = [];
  for (let n = 0; n < rounds; n++) {
    const frames = await page.evaluate(
      (count) =>
        new Promise<number[]>((done) => {
          scrollTo(0, 0);
          const end = document.body.scrollHeight;
          const got: number[] = [];
          let last = 0;
          const step = (now: number) => {
            if (last) got.push(now - last);
            last = now;
            if (got.length >= count) return done(got);
            scrollTo(0, (end * got.length) / count);
            requestAnimationFrame(step);
          };
          requestAnimationFrame(step);
        }),
      400,
    );
    medians.push(middle(frames));
    worst.push(Math.max(...frames));
  }
  // Each is less than the whole in the document.
  expect(await list.locator("li").count()).toBeLessThan(100);
  figure("10,000 deliveries, a frame while scrolling", medians, 20);
  figure("10,000 deliveries, the worst frame of 400", worst);
  await page.context().close();
});

test("100,000 measurements are drawn, and looked at closely", async () => {
  const minutes = 100_000;
  const from = Date.UTC(2016, 3, 12);
  const rows = Array.from({ length: minutes }, (_, n) => {
    const at = new Date(from + n * 60_000);
    const hour = at.getUTCHours();
    const clock = `${hour % 12 || 12}:${String(at.getUTCMinutes()).padStart(2, "0")}:00 ${hour < 12 ? "AM" : "PM"}`;
    return `1,${at.getUTCMonth() + 1}/${at.getUTCDate()}/${at.getUTCFullYear()} ${clock},${60 + Math.round(20 * Math.sin(n / 300)) + (n % 7)}`;
  });
  const file = join(market.folder, "heartrate_seconds_merged.csv");
  await writeFile(file, `Id,Time,Value\n${rows.join("\n")}\n`);
  const [said] = await market.say("enrol", "--country", "BE", "--born", "1990-02-03");
  const person = String(said?.subscriber_id);
  await market.say("import", "--subscriber", person, "--importer", "fitabase-csv", "--zone", "UTC", "--person", "1", file);
  const page = await signIn(browser, market.page, `Person ${person.slice(0, 8)}`, { viewport: { width: 1280, height: 900 } });
  const drawn: number[] = [];
  const zoomed: number[] = [];
  for (let n = 0; n < rounds; n++) {
    await visit(page, "/data");
    await page.reload(); // nothing of it is known any more
    await settled(page);
    expect(await page.locator("main a.tile").first().textContent()).toMatch(/100,000/);
    drawn.push(await until(page, "figure.plot canvas", () => page.locator("main a.tile").first().click()));
    await settled(page);
    const label = await page.locator("figure.plot [role=img]").getAttribute("aria-label");
    const box = await page.locator("figure.plot canvas").boundingBox();
    if (!box) throw new Error("no plot");
    const at = { x: box.x + box.width * 0.4, y: box.y + box.height / 2 };
    await page.mouse.move(at.x, at.y);
    await page.mouse.down();
    await page.mouse.move(at.x + box.width * 0.1, at.y, { steps: 5 });
    zoomed.push(await until(page, `figure.plot [role=img]:not([aria-label=${JSON.stringify(label)}])`, () => page.mouse.up()));
  }
  figure("100,000 measurements, from the link to the plot", drawn, 1000);
  figure("100,000 measurements, from letting go to the closer view", zoomed, 1000);
  await page.context().close();
});
