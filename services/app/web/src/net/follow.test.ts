import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { backoff } from "./backoff";
import { follow } from "./follow";

interface Message {
  token: string;
  what?: string;
}

// A server that says its piece each time it is asked, and remembers from where it was asked.
function server(turns: (Message | Error)[][]) {
  const asked: (string | undefined)[] = [];
  return {
    asked,
    open: async function* (after: string | undefined) {
      asked.push(after);
      await Promise.resolve();
      for (const m of turns[asked.length - 1] ?? []) {
        if (m instanceof Error) throw m;
        yield m;
      }
    },
  };
}

function run(turns: (Message | Error)[][], more: { take?: (m: Message) => void; renew?: boolean } = {}) {
  const s = server(turns);
  const end = new AbortController();
  const taken: string[] = [];
  const states: boolean[] = [];
  const waits: number[] = [];
  const done = follow<Message, string>({
    open: s.open,
    position: (m) => m.token || undefined,
    take: (m) => {
      more.take?.(m);
      if (m.what) taken.push(m.what);
    },
    state: (up) => states.push(up),
    ...(more.renew ? { renew: (f) => f.kind === "invalid" } : {}),
    signal: end.signal,
    random: () => 1,
    wait: (ms) => {
      waits.push(ms);
      if (s.asked.length >= turns.length) end.abort();
      return Promise.resolve();
    },
  });
  return { done, asked: s.asked, taken, states, waits };
}

const broken = new ConnectError("gone", Code.Unavailable);

describe("follow", () => {
  it("goes on behind the last message that was taken in", async () => {
    const r = run([[{ token: "1", what: "a" }, { token: "2", what: "b" }, broken], [{ token: "3", what: "c" }, broken]]);
    expect(await r.done).toBeUndefined();
    expect(r.asked).toEqual([undefined, "2"]);
    expect(r.taken).toEqual(["a", "b", "c"]);
    expect(r.states).toEqual([true, true, false, true, false]);
  });

  it("does not go past a message that could not be taken in", async () => {
    let first = true;
    const r = run([[{ token: "1", what: "a" }, { token: "2", what: "b" }], [{ token: "2", what: "b" }, broken]], {
      take: (m) => {
        if (m.what === "b" && first) {
          first = false;
          throw new Error("no");
        }
      },
    });
    await r.done;
    expect(r.asked).toEqual([undefined, "1"]);
    expect(r.taken).toEqual(["a", "b"]);
  });

  it("waits longer after each failure, and little again after success", async () => {
    const r = run([[broken], [broken], [broken], [{ token: "1" }, broken]]);
    await r.done;
    expect(r.waits).toEqual([500, 1000, 2000, 500]);
  });

  it("ends with a session that is over", async () => {
    const r = run([[{ token: "1" }, new ConnectError("over", Code.Unauthenticated)], []]);
    expect((await r.done)?.kind).toBe("session");
    expect(r.asked).toEqual([undefined]);
  });

  it("begins anew where its position is of no use any more", async () => {
    const r = run([[{ token: "1" }, broken], [new ConnectError("another life", Code.InvalidArgument)], [broken]], { renew: true });
    await r.done;
    expect(r.asked).toEqual([undefined, "1", undefined]);
  });

  it("takes a stream that the server ended for one that broke", async () => {
    const r = run([[{ token: "7" }], [broken]]);
    await r.done;
    expect(r.asked).toEqual([undefined, "7"]);
  });
});

it("jitters between half and whole, at most half a minute", () => {
  expect(backoff(0, () => 0)).toBe(250);
  expect(backoff(3, () => 0.5)).toBe(3000);
  expect(backoff(50, () => 1)).toBe(30_000);
});
