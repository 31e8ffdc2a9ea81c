// Parts that every screen is made of. They carry no knowledge of any screen; the console uses them as well.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/compat";
import { useSpeech } from "../i18n";
import type { Fault } from "../net/fault";
import { signInHere } from "../route";
import { describe } from "./words";
import { Icon, type IconName } from "./icon";

let ids = 0;

// Preact's own useId gives one id to several siblings; labels must name one thing each.
function useId(): string {
  return useState(() => `i${++ids}`)[0];
}

interface ButtonProps {
  children: ComponentChildren;
  onClick?: (() => void) | undefined;
  /** The main act of a form. Accept and refuse are both "normal": neither is the main one. */
  kind?: "normal" | "main" | "plain";
  type?: "button" | "submit";
  icon?: IconName;
  busy?: boolean;
  disabled?: boolean;
  /** A fuller name for screen readers, where many buttons of a page read alike. */
  label?: string;
  square?: boolean;
  testid?: string;
  expanded?: boolean;
}

/** A button that stays focusable while it is busy or off, so that the keyboard never loses its place. */
export function Button(p: ButtonProps) {
  const off = p.busy === true || p.disabled === true;
  const kind = p.kind === "main" ? " main-act" : p.kind === "plain" ? " plain" : "";
  return (
    <button
      type={p.type ?? "button"}
      class={`button${kind}${p.square ? " square" : ""}`}
      aria-disabled={off ? "true" : undefined}
      aria-busy={p.busy ? "true" : undefined}
      aria-label={p.label}
      aria-expanded={p.expanded}
      data-testid={p.testid}
      onClick={(e) => {
        if (off) e.preventDefault();
        else p.onClick?.();
      }}
    >
      {p.icon && <Icon name={p.icon} />}
      {p.children}
    </button>
  );
}

/** The head of a screen. Its title takes the focus when the screen changes, so that a screen reader begins there. */
export function PageHead({ title, lead, back }: { title: string; lead?: ComponentChildren; back?: { href: string; text: string } }) {
  const head = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Obole`;
  }, [title]);
  return (
    <header class="page-head">
      {back && (
        <a class="back" href={back.href}>
          <Icon name="back" />
          {back.text}
        </a>
      )}
      <h1 ref={head} tabIndex={-1} id="page-title">
        {title}
      </h1>
      {lead && <p class="lead">{lead}</p>}
    </header>
  );
}

/** A part of a screen with its own heading. */
export function Section({ title, children, more, level = 2 }: { title: string; children: ComponentChildren; more?: ComponentChildren; level?: 2 | 3 }) {
  const id = useId();
  return (
    <section class="stack" aria-labelledby={id}>
      <div class="section-head">
        {level === 2 ? <h2 id={id}>{title}</h2> : <h3 id={id}>{title}</h3>}
        {more}
      </div>
      {children}
    </section>
  );
}

export function Card({ children, tone }: { children: ComponentChildren; tone?: "flat" | "sunken" }) {
  return <div class={`card${tone ? ` ${tone}` : ""}`}>{children}</div>;
}

type Tone = "plain" | "good" | "warn" | "bad";
const toneIcon: Record<Tone, IconName> = { plain: "info", good: "good", warn: "warn", bad: "bad" };

/** Says something about what stands around it. `alert` interrupts a screen reader: for what went wrong just now. */
export function Notice({ tone = "plain", children, alert, icon }: { tone?: Tone; children: ComponentChildren; alert?: boolean; icon?: IconName }) {
  return (
    <div class={`notice ${tone}`} role={alert ? "alert" : undefined}>
      <Icon name={icon ?? toneIcon[tone]} />
      <div class="body">{children}</div>
    </div>
  );
}

/** What went wrong, and what to do. */
export function Problem({ fault, again, alert = true }: { fault: Fault; again?: (() => void) | undefined; alert?: boolean }) {
  const speech = useSpeech();
  const { what, todo } = describe(speech, fault);
  const signIn = fault.kind === "session";
  return (
    <Notice tone={fault.passing ? "warn" : "bad"} alert={alert}>
      <p>
        <strong>{what}</strong> {todo}
      </p>
      {signIn ? (
        <a class="button" href={signInHere(speech.language)}>
          {speech.t("login.again")}
        </a>
      ) : (
        again && (
          <div>
            <Button onClick={again}>{speech.t("act.again")}</Button>
          </div>
        )
      )}
    </Notice>
  );
}

/** Marks what may have changed since. */
export function Stale({ at }: { at: number }) {
  const { t, moment } = useSpeech();
  return (
    <Notice tone="warn" icon="offline">
      <p data-testid="stale">{t("stale.since", { when: moment(BigInt(at) * 1000n) })}</p>
    </Notice>
  );
}

export function Chip({ tone, children, icon }: { tone?: "good" | "warn" | "bad" | "accent" | "coin"; children: ComponentChildren; icon?: IconName }) {
  return (
    <span class={`chip${tone ? ` ${tone}` : ""}`}>
      {icon && <Icon name={icon} />}
      {children}
    </span>
  );
}

/** Nothing is here yet, and what to do about it. */
export function Empty({ icon, title, children, act }: { icon: IconName; title: string; children?: ComponentChildren; act?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <div class="stack tight">
        <p class="head">{title}</p>
        {children && <p class="soft">{children}</p>}
      </div>
      {act}
    </div>
  );
}

/** Stands where an answer is awaited. */
export function Bones({ tall }: { tall?: boolean }) {
  const { t } = useSpeech();
  return (
    <div class="bones" role="status" aria-label={t("loading")}>
      {tall && <div class="bone tall" />}
      <div class="bone" />
      <div class="bone" />
      <div class="bone" />
    </div>
  );
}

/** Names and what stands beside them. */
export function Facts({ rows }: { rows: (readonly [string, ComponentChildren] | false | undefined)[] }) {
  return (
    <dl class="facts">
      {rows.map(
        (r) =>
          r && (
            <div key={r[0]}>
              <dt>{r[0]}</dt>
              <dd>{r[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

interface SwitchProps {
  on: boolean;
  change: (on: boolean) => void;
  label: string;
  hint?: ComponentChildren;
  busy?: boolean;
  disabled?: boolean;
  testid?: string;
}

/** On or off, at once. */
export function Switch(p: SwitchProps) {
  const id = useId();
  return (
    <div class="switch">
      <div>
        <span id={`${id}l`}>
          <strong>{p.label}</strong>
        </span>
        {p.hint && (
          <p class="soft small" id={`${id}h`}>
            {p.hint}
          </p>
        )}
      </div>
      <button
        type="button"
        role="switch"
        aria-checked={p.on ? "true" : "false"}
        aria-labelledby={`${id}l`}
        aria-describedby={p.hint ? `${id}h` : undefined}
        aria-disabled={p.busy || p.disabled ? "true" : undefined}
        data-testid={p.testid}
        onClick={() => {
          if (!p.busy && !p.disabled) p.change(!p.on);
        }}
      />
    </div>
  );
}

/** A box to tick. Never ticked before the person has. */
export function Check({ on, change, label, aside, disabled }: { on: boolean; change: (on: boolean) => void; label: ComponentChildren; aside?: ComponentChildren; disabled?: boolean }) {
  const id = useId();
  return (
    <label class="check">
      <input type="checkbox" checked={on} disabled={disabled} aria-describedby={aside ? id : undefined} onChange={(e) => change(e.currentTarget.checked)} />
      <span>{label}</span>
      {aside && (
        <span class="aside" id={id}>
          {aside}
        </span>
      )}
    </label>
  );
}

interface FieldProps {
  label: string;
  hint?: string | undefined;
  wrong?: string | undefined;
  value: string;
  change: (value: string) => void;
  kind?: "text" | "date";
  unit?: string;
  inputMode?: "decimal" | "numeric" | "text";
  min?: string;
  max?: string;
  autoComplete?: "off" | "bday";
}

interface LabelledProps {
  label: string;
  hint?: string | undefined;
  wrong?: string | undefined;
  /** Draws the input: its id, and what a screen reader is told beside the label. */
  children: (input: { id: string; "aria-invalid": "true" | undefined; "aria-describedby": string | undefined }) => ComponentChildren;
}

// What every input of a form has around it.
function Labelled({ label, hint, wrong, children }: LabelledProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {hint && (
        <p class="hint" id={`${id}h`}>
          {hint}
        </p>
      )}
      {children({ id, "aria-invalid": wrong ? "true" : undefined, "aria-describedby": `${hint ? `${id}h ` : ""}${wrong ? `${id}w` : ""}`.trim() || undefined })}
      {wrong && (
        <p class="wrong" id={`${id}w`} role="alert">
          {wrong}
        </p>
      )}
    </div>
  );
}

/** A line to write in, with its hint and what is wrong with it. */
export function Field({ label, hint, wrong, value, change, kind = "text", unit, inputMode = "text", min, max, autoComplete = "off" }: FieldProps) {
  return (
    <Labelled label={label} hint={hint} wrong={wrong}>
      {(labelled) => {
        const common = { ...labelled, class: `input${unit ? " short" : ""}`, value, autoComplete, onInput: (e: { currentTarget: HTMLInputElement }) => change(e.currentTarget.value) };
        const input = kind === "date" ? <input {...common} type="date" min={min} max={max} /> : <input {...common} type="text" inputMode={inputMode} />;
        return unit ? (
          <div class="with-unit">
            {input}
            <span class="soft">{unit}</span>
          </div>
        ) : (
          input
        );
      }}
    </Labelled>
  );
}

/** One of a list. */
export function Select({ label, value, change, options, hint, wrong }: { label: string; value: string; change: (v: string) => void; options: (readonly [string, string])[]; hint?: string; wrong?: string | undefined }) {
  return (
    <Labelled label={label} hint={hint} wrong={wrong}>
      {(labelled) => (
        <select {...labelled} class="input" value={value} onChange={(e) => change(e.currentTarget.value)}>
          {options.map(([v, text]) => (
            <option key={v} value={v}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Labelled>
  );
}

/** One of a few, side by side. */
export function Segments<T extends string>({ label, value, change, options }: { label: string; value: T; change: (v: T) => void; options: (readonly [T, string])[] }) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map(([v, text]) => (
        <button key={v} type="button" aria-pressed={v === value ? "true" : "false"} onClick={() => change(v)}>
          {text}
        </button>
      ))}
    </div>
  );
}

/** A question over the page. Escape and the ground behind it close it; the focus goes back to where it was. */
export function Dialog({ open, close, title, children }: { open: boolean; close: () => void; title: string; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const d = ref.current;
    if (!d) return;
    if (open && !d.open) d.showModal();
    if (!open && d.open) d.close();
  }, [open]);
  return (
    <dialog
      ref={ref}
      aria-labelledby={id}
      // The page closes it, and not the browser: whoever presses a key right after Escape would else find the page one step behind.
      onCancel={(e) => {
        e.preventDefault();
        close();
      }}
      // The event also comes, later, when the page has closed it itself: then another question may stand open already.
      onClose={() => {
        if (open) close();
      }}
      onClick={(e) => {
        if (e.target === ref.current) close();
      }}
    >
      {open && (
        <div class="inside">
          <h2 id={id}>{title}</h2>
          {children}
        </div>
      )}
    </dialog>
  );
}

/** More, when it is wanted. */
export function More({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <details>
      <summary>
        <Icon name="next" />
        {title}
      </summary>
      <div class="stack tight">{children}</div>
    </details>
  );
}
