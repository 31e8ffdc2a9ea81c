// Rows of a package as a table: one JSON object a line.

export interface Rows {
  columns: string[];
  rows: string[][];
}

/** Reads the rows. A line that is no object is left out. */
export function readRows(bytes: Uint8Array): Rows {
  const columns: string[] = [];
  const objects: Record<string, unknown>[] = [];
  for (const line of new TextDecoder().decode(bytes).split("\n")) {
    if (line.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      continue;
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) continue;
    const row = value as Record<string, unknown>;
    for (const name of Object.keys(row)) if (!columns.includes(name)) columns.push(name);
    objects.push(row);
  }
  return { columns, rows: objects.map((o) => columns.map((c) => cell(o[c]))) };
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
