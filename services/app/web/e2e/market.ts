// A market of the embedded default on a folder and ports of its own, with the demonstration played in it, and the command line beside the page.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
export const root = resolve(import.meta.dirname, "../../../..");
const obole = join(root, "bin/obole");

/** Where a market is. */
export interface Place {
  /** What the tests write goes beside its data. */
  folder: string;
  /** Address of the page, without a slash at its end. */
  page: string;
}

/** Somebody who may sign in. */
export interface Someone {
  subject: string;
  label: string;
  roles: string[];
}

type Line = Record<string, unknown>;

const lines = (text: string): unknown[] =>
  text
    .split("\n")
    .filter((l) => l !== "")
    .map((l) => JSON.parse(l) as unknown);

/** The market that runs on a folder. */
export async function running(folder: string): Promise<Place> {
  const { page } = JSON.parse(await readFile(join(folder, "data/running.json"), "utf8")) as { page: string };
  return { folder, page: page.replace(/\/$/, "") };
}

/** Plays the demonstration on a new market and leaves it running. Needs bin/obole, which `make build` writes. Answers with how to stop it. */
export async function start(): Promise<Place & { stop: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "obole-page-"));
  await chmod(folder, 0o755); // under root the database runs as another user, who must come in
  const data = join(folder, "data");
  const market = spawn(obole, ["demo", "--stay", "--json", "--data", data], { stdio: ["ignore", "ignore", "pipe"] });
  const said: string[] = [];
  await new Promise<void>((found, failed) => {
    market.once("error", (e) => failed(new Error(`bin/obole does not start (run make build): ${e.message}`)));
    market.once("exit", (code) => failed(new Error(`obole demo ended with ${code}: ${said.join("\n")}`)));
    createInterface(market.stderr).on("line", (line) => {
      said.push(line);
      if (line.includes("stays until Ctrl-C")) found();
    });
  });
  return {
    ...(await running(folder)),
    stop: async () => {
      if (market.exitCode === null) {
        const ended = once(market, "exit");
        market.kill("SIGINT");
        await ended;
      }
      await rm(folder, { recursive: true });
    },
  };
}

/** A running market, as the command line sees it. */
export class Market {
  readonly folder: string;
  readonly page: string;

  constructor(place: Place) {
    this.folder = place.folder;
    this.page = place.page;
  }

  /** What a command answers with --json, a value for each line. Where it fails, its own words are in the error. */
  async say(...args: string[]): Promise<Line[]> {
    const { stdout } = await run(obole, [...args, "--json", "--data", join(this.folder, "data")], { cwd: root, maxBuffer: 1 << 26 });
    return lines(stdout) as Line[];
  }

  /** Those who may sign in: who takes part in the demonstration, and the staff. */
  async people(): Promise<Someone[]> {
    return lines(await readFile(join(this.folder, "data/people.jsonl"), "utf8")) as Someone[];
  }

  /** The one whose label begins so. */
  async who(label: string): Promise<Someone> {
    const found = (await this.people()).find((p) => p.label.startsWith(label));
    if (!found) throw new Error(`nobody of the market is called ${label}`);
    return found;
  }

  /** Enrols somebody who brings the steps of one participant of the study. Answers with their id. */
  async enrol(participant: string, born = "1990-02-03"): Promise<string> {
    const [said] = await this.say("enrol", "--country", "BE", "--born", born);
    const id = String(said?.subscriber_id);
    await this.say("import", "--subscriber", id, "--importer", "fitabase-csv", "--zone", "America/New_York", "--person", participant, steps);
    return id;
  }
}

/** Daily activity of a published study, in the repository. */
export const steps = join(root, "testdata/fitabase/dailyActivity_merged.csv");
