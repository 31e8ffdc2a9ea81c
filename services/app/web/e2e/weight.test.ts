// What the first visit costs, as it came over the wire: everything that a person's first screen loads, words and letters included.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { launch, signIn } from "./browser";
import { Market } from "./market";

const market = new Market(inject("market"));
let browser: Browser;

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
});

test("the first load is at most 150 kB compressed in all", async () => {
  const page = await signIn(browser, market.page, "Participant 2347167796", { serviceWorkers: "block" });
  const files = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .map((e) => e as PerformanceResourceTiming)
      .filter((e) => !new URL(e.name).pathname.startsWith("/rpc/") && !new URL(e.name).pathname.startsWith("/api/"))
      .map((e) => ({ name: new URL(e.name).pathname, bytes: e.encodedBodySize })),
  );
  expect(files.length).toBeGreaterThan(8);
  expect(files.filter((f) => f.bytes === 0)).toEqual([]); // what is not measured would weigh nothing
  const bytes = files.reduce((sum, f) => sum + f.bytes, 0);
  console.log(`first load: ${files.length} files, ${(bytes / 1000).toFixed(1)} kB compressed`);
  expect(bytes).toBeLessThanOrEqual(150_000);
  await page.context().close();
});
