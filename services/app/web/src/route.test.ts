import { expect, it } from "vitest";
import { isId, parts } from "./route";

it.each([
  ["/offers", "/offers", 1, []],
  ["/offers/", "/offers", 1, []],
  ["/offers/a%20b", "/offers", 1, ["a b"]],
  ["/offersx", "/offers", 1, undefined],
  ["/offers/a/b", "/offers", 1, undefined],
  ["/rules/a", "/rules", 0, undefined],
  ["/offers/%zz", "/offers", 1, undefined],
] as const)("%s behind %s, at most %s", (path, prefix, most, want) => expect(parts(path, prefix, most)).toEqual(want));

it("knows what can be an id", () => {
  expect(["11111111-1111-4111-8111-11111111111a", "nosuch", "", "11111111-1111-4111-8111-11111111111a/x"].map(isId)).toEqual([true, false, false, false]);
});
