// One market for all files of tests: its own, or the one in the folder that MARKET names (`obole demo --stay --data $MARKET/data`), which
// spares the time to play it while tests are written.
import type { TestProject } from "vitest/node";
import { Market, running, start, type Place } from "./market";

declare module "vitest" {
  export interface ProvidedContext {
    market: Place;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const known = process.env.MARKET;
  if (known) {
    const place = await running(known);
    await owe(place);
    project.provide("market", place);
    return () => Promise.resolve();
  }
  const { folder, page, stop } = await start();
  await owe({ folder, page });
  project.provide("market", { folder, page });
  return stop;
}

/** A payout that waits, so that finance has something to answer. */
async function owe(place: Place): Promise<void> {
  const market = new Market(place);
  const { subject } = await market.who("Participant 1624580081");
  await market.say("payout", "request", "--subscriber", subject, "0.05 EUR");
}
