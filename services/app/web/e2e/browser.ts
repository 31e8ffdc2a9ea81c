// Debian's Chromium, and what every test does with it: sign in by clicking through, and go from screen to screen as a person does,
// without loading the page anew.
import { existsSync } from "node:fs";
import { chromium, type Browser, type BrowserContextOptions, type Page, type Request } from "playwright-core";

const program = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Starts it; missing is a failure that names what to install. */
export async function launch(): Promise<Browser> {
  if (!existsSync(program)) throw new Error(`${program} is missing: apt-get install chromium, or name another in CHROMIUM`);
  return chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

// Calls that are on their way, by page. Streams stay open and count for nothing.
const awaited = new WeakMap<Page, Set<Request>>();

const streams = /\/(Watch[A-Za-z]+|ReplayEvents)$/;

/** Counts the calls of a page from now on, so that `settled` knows when an answer is still awaited. */
export function count(page: Page): Page {
  const calls = new Set<Request>();
  awaited.set(page, calls);
  page.on("request", (r) => {
    if (!streams.test(new URL(r.url()).pathname)) calls.add(r);
  });
  page.on("requestfinished", (r) => calls.delete(r));
  page.on("requestfailed", (r) => calls.delete(r));
  return page;
}

/** Signs in through the issuer's form as the one whose button there begins so. */
export async function signIn(browser: Browser, address: string, label: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ locale: "en-IE", reducedMotion: "reduce", viewport: { width: 360, height: 800 }, ...options });
  context.setDefaultTimeout(10_000);
  const page = count(await context.newPage());
  await page.goto(address);
  await page.locator('header a[href^="/login"]').click();
  await page.locator("form button").filter({ hasText: new RegExp(`^${label}`) }).first().click();
  await page.locator("nav.nav").waitFor();
  await settled(page);
  return page;
}

/** Returns once a title stands there, nothing is on its way and two frames have passed. */
export async function settled(page: Page): Promise<void> {
  const calls = awaited.get(page);
  const deadline = Date.now() + 20_000;
  for (;;) {
    const ready = await page.evaluate(
      () =>
        new Promise<boolean>((done) =>
          requestAnimationFrame(() =>
            requestAnimationFrame(() => {
              const fonts = document.fonts.status === "loaded";
              done(fonts && document.querySelector("h1") !== null && document.querySelector(".bones, [aria-busy=true]") === null);
            }),
          ),
        ),
    );
    if (ready && (calls?.size ?? 0) === 0) return;
    if (Date.now() > deadline) {
      const open = [...(calls ?? [])].map((r) => r.url());
      throw new Error(`${page.url()} does not come to rest; open calls: ${open.join(", ") || "none"}`);
    }
  }
}

/** Goes to a path of the page as a link of it does, and waits until it stands. */
export async function visit(page: Page, to: string): Promise<void> {
  await page.evaluate((path) => {
    history.pushState(null, "", path);
    dispatchEvent(new PopStateEvent("popstate"));
  }, to);
  await settled(page);
}
