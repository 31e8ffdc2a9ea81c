/** Importers that read a file of a person's own. */
export const importers = ["fitabase-csv", "withings-json", "points"] as const;

/** Which importer a file is most likely for, by its name. */
export function guess(name: string): (typeof importers)[number] {
  if (/\.csv$/i.test(name)) return "fitabase-csv";
  return /withings|measure|sleep_?summary/i.test(name) ? "withings-json" : "points";
}
