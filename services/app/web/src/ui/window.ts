// Which rows of a long list are drawn.

export interface Span {
  /** First row drawn. */
  from: number;
  /** Row behind the last one drawn. */
  to: number;
}

/**
 * Rows of `count`, each `height` high, that a viewport of `seen` pixels shows when the list's top stands `above` pixels over the viewport's, with
 * some to spare. A list out of sight keeps the rows of its nearer end, so that whoever goes by keyboard or screen reader comes into it.
 */
export function visible(count: number, height: number, above: number, seen: number, spare = 8): Span {
  if (count === 0 || height <= 0) return { from: 0, to: 0 };
  const from = Math.max(0, Math.min(count - spare, Math.floor(above / height) - spare));
  const to = Math.min(count, Math.max(spare, Math.ceil((above + seen) / height) + spare));
  return { from, to };
}
