// What every screen knows: who is signed in, the operator, and how the line to the services is.
import { createContext } from "preact";
import { useContext } from "preact/compat";
import type { Language } from "./i18n";
import type { Line } from "./net/live";
import type { Config, Me } from "./net/session";

/** Changes the language; fails where its words cannot be had. */
export type Speak = (language: Language) => Promise<void>;

export interface Page {
  me: Me;
  config: Config;
  line: Line;
  online: boolean;
  /** The session is over: what is on screen stays readable, nothing can be done until somebody signs in again. */
  over: boolean;
  speak: Speak;
  leave: (everywhere: boolean) => Promise<void>;
  /** Says something to screen readers and briefly to the eye. */
  say: (text: string) => void;
}

export const PageContext = createContext<Page | undefined>(undefined);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (!page) throw new Error("no page around this component");
  return page;
}
