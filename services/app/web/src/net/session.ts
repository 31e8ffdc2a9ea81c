// Who is signed in, and what the edge says of itself. The session is a cookie that no script can read.
import { faultOf, faultOfResponse } from "./fault";

export interface Me {
  subject: string;
  name: string;
  roles: string[];
  ends: string;
  gpc: boolean;
}

export interface Authority {
  country: string;
  name: string;
  url: string;
}

export interface Config {
  operator: { name: string; country: string; address: string; dpo: string; synthetic: boolean };
  authorities: Authority[];
  language: string;
  gpc: boolean;
  privacy: { version: string; since: string };
  maxImportBytes: number;
}

async function get(path: string): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", redirect: "error", headers: { Accept: "application/json" } });
  } catch (thrown) {
    throw faultOf(thrown);
  }
  if (!response.ok) throw await faultOfResponse(response);
  return (await response.json()) as unknown;
}

type Fields = Record<string, unknown>;
const object = (v: unknown): Fields => (typeof v === "object" && v !== null ? (v as Fields) : {});
const text = (v: unknown): string => (typeof v === "string" ? v : "");
const items = (v: unknown): unknown[] => (Array.isArray(v) ? (v as unknown[]) : []);

/** Who is signed in; undefined when nobody is. */
export async function whoAmI(): Promise<Me | undefined> {
  const said = object(await get("/api/session"));
  if (said.me === undefined) return undefined;
  const me = object(said.me);
  return { subject: text(me.subject), name: text(me.name), roles: items(me.roles).map(text), ends: text(me.ends), gpc: me.gpc === true };
}

/** What the page needs before anybody has signed in. */
export async function readConfig(): Promise<Config> {
  const c = object(await get("/api/config"));
  const operator = object(c.operator);
  const privacy = object(c.privacy);
  return {
    operator: {
      name: text(operator.name),
      country: text(operator.country),
      address: text(operator.address),
      dpo: text(operator.dpo),
      synthetic: operator.synthetic === true,
    },
    authorities: items(c.authorities).map((a) => {
      const o = object(a);
      return { country: text(o.country), name: text(o.name), url: text(o.url) };
    }),
    language: text(c.language),
    gpc: c.gpc === true,
    privacy: { version: text(privacy.version), since: text(privacy.since) },
    maxImportBytes: Number(object(c.import).max_bytes ?? 0),
  };
}

export type Block = { kind: "text"; text: string } | { kind: "list"; items: string[] } | { kind: "table"; head: string[]; rows: string[][] };

export interface Policy {
  version: string;
  since: string;
  language: string;
  title: string;
  sections: { id: string; title: string; blocks: Block[] }[];
  changes: { version: string; since: string; what: string[] }[];
}

/** The privacy policy in a language, made by the edge of the catalogue and its config. */
export async function readPolicy(language: string): Promise<Policy> {
  return decodePolicy(await get(`/api/privacy?lang=${encodeURIComponent(language)}`));
}

export function decodePolicy(value: unknown): Policy {
  const p = object(value);
  return {
    version: text(p.version),
    since: text(p.since),
    language: text(p.language),
    title: text(p.title),
    sections: items(p.sections).map((s) => {
      const section = object(s);
      return { id: text(section.id), title: text(section.title), blocks: items(section.blocks).flatMap((b) => block(object(b))) };
    }),
    changes: items(p.changes).map((c) => {
      const change = object(c);
      return { version: text(change.version), since: text(change.since), what: items(change.what).map(text) };
    }),
  };
}

function block(b: Fields): Block[] {
  if (typeof b.text === "string") return [{ kind: "text", text: b.text }];
  if (Array.isArray(b.list)) return [{ kind: "list", items: items(b.list).map(text) }];
  if (Array.isArray(b.rows)) return [{ kind: "table", head: items(b.head).map(text), rows: items(b.rows).map((r) => items(r).map(text)) }];
  return [];
}

/** Ends this session, or all of this person's. Answers with where to go. */
export async function signOut(everywhere: boolean): Promise<string> {
  let response: Response;
  try {
    response = await fetch(`/logout${everywhere ? "?everywhere=true" : ""}`, { method: "POST", credentials: "same-origin", cache: "no-store" });
  } catch (thrown) {
    throw faultOf(thrown);
  }
  if (!response.ok) throw await faultOfResponse(response);
  const answer = object((await response.json()) as unknown);
  return text(answer.to) || "/";
}
