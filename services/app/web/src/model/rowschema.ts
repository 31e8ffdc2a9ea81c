// Holds rows to the JSON Schema that came with them. It knows the keywords that the market writes; a schema with any other is said to be
// unknown, and its rows are not said to hold.

/** What does not hold: which row, counted from 1, and which field; 0 where it is the schema itself, whose keyword is the field then. */
export interface Mismatch {
  row: number;
  field: string;
}

type Schema = Record<string, unknown>;

const ofRow = new Set(["$schema", "title", "description", "type", "additionalProperties", "required", "properties"]);
const ofField = new Set(["description", "type", "format", "pattern", "enum", "minimum", "multipleOf", "minLength"]);

function object(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Fields of a schema's rows, in its order. */
export function columns(schema: unknown): string[] {
  return object(schema) && object(schema.properties) ? Object.keys(schema.properties) : [];
}

/** The first that does not hold; undefined where all do. */
export function mismatch(schema: unknown, rows: readonly Record<string, unknown>[]): Mismatch | undefined {
  if (!object(schema) || schema.type !== "object" || !object(schema.properties)) return { row: 0, field: "properties" };
  const foreign = Object.keys(schema).find((k) => !ofRow.has(k));
  if (foreign !== undefined) return { row: 0, field: foreign };
  const fields = new Map<string, Schema>();
  for (const [name, field] of Object.entries(schema.properties)) {
    if (!object(field)) return { row: 0, field: name };
    const unknown = Object.keys(field).find((k) => !ofField.has(k)) ?? (field.format !== undefined && field.format !== "date" ? "format" : undefined);
    if (unknown !== undefined) return { row: 0, field: `${name}.${unknown}` };
    fields.set(name, field);
  }
  const required = Array.isArray(schema.required) ? schema.required.filter((r) => typeof r === "string") : [];
  for (const [i, row] of rows.entries()) {
    const missing = required.find((r) => !Object.hasOwn(row, r));
    if (missing !== undefined) return { row: i + 1, field: missing };
    for (const [name, value] of Object.entries(row)) {
      const field = fields.get(name);
      if (field ? !holds(field, value) : schema.additionalProperties === false) return { row: i + 1, field: name };
    }
  }
  return undefined;
}

function holds(field: Schema, value: unknown): boolean {
  if (Array.isArray(field.enum) && !field.enum.includes(value)) return false;
  const types = field.type === undefined ? [] : Array.isArray(field.type) ? field.type : [field.type];
  if (types.length > 0 && !types.some((t) => is(t, value))) return false;
  if (typeof value === "number") {
    if (typeof field.minimum === "number" && value < field.minimum) return false;
    if (typeof field.multipleOf === "number") {
      // Rows carry decimals of at most three digits: what is left of a division by them is noise below a millionth.
      const times = value / field.multipleOf;
      if (Math.abs(times - Math.round(times)) > 1e-6) return false;
    }
  }
  if (typeof value === "string") {
    if (typeof field.minLength === "number" && [...value].length < field.minLength) return false;
    if (typeof field.pattern === "string" && !new RegExp(field.pattern, "u").test(value)) return false;
    if (field.format === "date" && !day(value)) return false;
  }
  return true;
}

function is(type: unknown, value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "number":
      return typeof value === "number";
    case "integer":
      return Number.isInteger(value);
    case "null":
      return value === null;
  }
  return false;
}

function day(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}
