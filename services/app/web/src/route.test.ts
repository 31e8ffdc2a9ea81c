import { expect, it } from "vitest";
import { parts } from "./route";

it.each([
  ["/offers", "/offers", 1, []],
  ["/offers/", "/offers", 1, []],
  ["/offers/a%20b", "/offers", 1, ["a b"]],
  ["/offersx", "/offers", 1, undefined],
  ["/offers/a/b", "/offers", 1, undefined],
  ["/rules/a", "/rules", 0, undefined],
  ["/offers/%zz", "/offers", 1, undefined],
] as const)("%s behind %s, at most %s", (path, prefix, most, want) => expect(parts(path, prefix, most)).toEqual(want));
