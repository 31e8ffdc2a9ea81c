import { describe as group, expect, it } from "vitest";
import { Speech, type Messages } from "../i18n";
import es from "../i18n/messages/es.json";
import fr from "../i18n/messages/fr.json";
import { Fault } from "../net/fault";
import { describe } from "./words";

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
    expect(Object.values(describe(french, row))).toEqual(["Une ligne du fichier est illisible.", "« TotalSteps » n'est pas un nombre."]);
    expect(describe(spanish, row).todo).toBe("«TotalSteps» no es un número.");
  });
  it("of a file that cannot be taken", () => {
    const format = new Fault("invalid", "FORMAT_UNKNOWN", "no importer knows the file's format", [{ name: "importer", text: "the file is for withings-json" }]);
    expect(Object.values(describe(french, format)).join(" ")).not.toMatch(/the file/);
  });
  it("of a flaw that this page does not know yet, nothing", () => expect(describe(spanish, new Fault("invalid", "ROW_INVALID", "", [{ name: "flaw", text: "NEWER Steps" }])).todo).toBe(""));
});
