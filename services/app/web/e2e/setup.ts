// One market for all files of tests: its own, or the one in the folder that MARKET names (`obole demo --stay --data $MARKET/data`), which
// spares the time to play it while tests are written.
import type { TestProject } from "vitest/node";
import { running, start, type Place } from "./market";

declare module "vitest" {
  export interface ProvidedContext {
    market: Place;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const known = process.env.MARKET;
  if (known) {
    project.provide("market", await running(known));
    return () => Promise.resolve();
  }
  const { folder, page, stop } = await start();
  project.provide("market", { folder, page });
  return stop;
}
