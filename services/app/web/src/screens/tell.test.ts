import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EntrySchema } from "../gen/obole/record/v1/record_pb";
import { Speech } from "../i18n";
import en from "../i18n/messages/en.json";
import { detail, sentence } from "./tell";

const speech = new Speech("en", "en-IE", en);
const derived = (...facts: [string, string][]) => create(EntrySchema, { type: "facts_derived", derived: facts.map(([fact, band]) => ({ fact, band })) });

describe("two imports tell of facts twice", () => {
  const first = derived(["steps_per_day", "10000_up"]);
  const second = derived(["sleep_per_night", "6h_8h"], ["steps_per_day", "10000_up"]);
  it("and each says of which", () => {
    expect(sentence(speech, first, new Map())).toBe("Facts were derived from your data: Steps of a day, on average");
    expect(sentence(speech, second, new Map())).toBe("Facts were derived from your data: Sleep of a night, on average; Steps of a day, on average");
  });
  it("and what they say", () => expect(detail(speech, second)).toBe("Sleep of a night, on average: 6 to 8 h · Steps of a day, on average: 10,000 and more"));
  it("and nothing where there are none any more", () => expect(sentence(speech, derived(), new Map())).toBe("Facts were derived from your data"));
});
