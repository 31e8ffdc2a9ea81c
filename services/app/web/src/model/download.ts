/** Saves pieces of text as a file of the person's own. Nothing leaves the browser. */
export function download(name: string, pieces: BlobPart[], type = "application/json"): void {
  const url = URL.createObjectURL(new Blob(pieces, { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
