// A decision of buyers and staff: a button, and a question in which it is asked once more before it is done.
import type { ComponentChildren } from "preact";
import { useState } from "preact/compat";
import { useSpeech } from "../i18n";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Button, Dialog } from "../ui/parts";
import { Refused } from "./shared";

interface Props {
  /** What both buttons say. */
  name: string;
  /** The question. */
  title: string;
  /** What the first button is called for whoever only hears it; undefined where its name says enough. */
  label?: string;
  /** What comes of it. */
  text: string;
  /** Whether what was entered cannot be sent as it is. */
  wrong?: boolean;
  /** Does it, under an idempotency key, and answers with what to say of it. */
  act: (key: string) => Promise<string>;
  testid?: string;
  /** What is entered, told whether it was tried to send it. */
  children?: (tried: boolean) => ComponentChildren;
}

export function Decision({ name, title, label, text, wrong = false, act, testid, children }: Props) {
  const { t } = useSpeech();
  const { say, over } = usePage();
  const [open, setOpen] = useState(false);
  const [tried, setTried] = useState(false);
  const doing = useAct(async (key) => {
    say(await act(key));
    setOpen(false);
  });
  const go = () => {
    setTried(true);
    if (!wrong) doing.go();
  };
  return (
    <>
      <Button onClick={() => setOpen(true)} disabled={over} {...(label ? { label } : {})} {...(testid ? { testid } : {})}>
        {name}
      </Button>
      <Dialog open={open} close={() => setOpen(false)} title={title}>
        <p>{text}</p>
        {children?.(tried)}
        {doing.fault && <Refused fault={doing.fault} />}
        <div class="row">
          <Button busy={doing.busy} onClick={go} {...(testid ? { testid: `${testid}-now` } : {})}>
            {name}
          </Button>
          <Button onClick={() => setOpen(false)}>{t("act.cancel")}</Button>
        </div>
      </Dialog>
    </>
  );
}
