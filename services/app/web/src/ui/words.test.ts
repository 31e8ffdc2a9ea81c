import { describe as group, expect, it } from "vitest";
import { Speech, type Messages } from "../i18n";
import es from "../i18n/messages/es.json";
import fr from "../i18n/messages/fr.json";
import { Fault } from "../net/fault";
import { callName, describe } from "./words";

const french = new Speech("fr", "fr-FR", fr as Messages);
const spanish = new Speech("es", "es-ES", es as Messages);

group("what a service says in English is said in the page's own words", () => {
  const row = new Fault("invalid", "ROW_INVALID", "a row of the file cannot be read", [
    { name: "file", text: "steps.csv" },
    { name: "line", text: "3" },
    { name: "field", text: "TotalSteps is no number" },
    { name: "flaw", text: "NOT_NUMBER TotalSteps" },
  ]);
  it("of a row and its field", () => {
    expect(Object.values(describe(french, row))).toEqual(["Une ligne du fichier est illisible.", "«\u00a0TotalSteps\u00a0» n'est pas un nombre."]);
    expect(describe(spanish, row).todo).toBe("«TotalSteps» no es un número.");
  });
  it("of a file that cannot be taken", () => {
    const format = new Fault("invalid", "FORMAT_UNKNOWN", "no importer knows the file's format", [{ name: "importer", text: "the file is for withings-json" }]);
    expect(Object.values(describe(french, format)).join(" ")).not.toMatch(/the file/);
  });
  it("of a flaw that this page does not know yet, nothing", () => expect(describe(spanish, new Fault("invalid", "ROW_INVALID", "", [{ name: "flaw", text: "NEWER Steps" }])).todo).toBe(""));
});

it("calls staff who have no name by their role, in words, and everybody else by theirs", () => {
  expect(callName(french, { name: "Operator", roles: ["operator"] })).toBe("Personnel de l'opérateur");
  expect(callName(spanish, { name: "Finance", roles: ["finance"] })).toBe("Finanzas");
  expect(callName(french, { name: "Ada Namur", roles: ["operator"] })).toBe("Ada Namur");
  expect(callName(french, { name: "Participant 7, BE, born 1990", roles: ["subscriber"] })).toBe("Participant 7");
});
