// Tables as files: comma-separated values by RFC 4180, in UTF-8.

/** One cell. A text that a spreadsheet would take for a formula is marked as text; amounts are plain decimals and stay numbers. */
export function cell(value: string): string {
  const text = /^[=+@\t\r-]/.test(value) && !/^-\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A whole file, its first row the names of the columns. */
export function csv(rows: readonly (readonly string[])[]): string {
  return rows.map((r) => `${r.map(cell).join(",")}\r\n`).join("");
}
