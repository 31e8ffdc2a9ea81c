// A file of measurements goes up as it is; the edge passes it on in pieces. It is kept as a whole or not at all.
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ImportResponseSchema, type ImportResponse } from "../gen/obole/delivery/v1/service_pb";
import { Fault, faultOfBody } from "./fault";

export interface Upload {
  /** Where it comes from: a source that is there, or the importer of one that the file brings. */
  from: { source: string } | { importer: string };
  file: File;
  zone: string;
  person: string;
  /** Told how many bytes have gone up. */
  progress: (sent: number) => void;
  signal: AbortSignal;
}

/** Sends a file. Rejects with a Fault; where a row could not be read, its facts name line and field. */
export function upload(u: Upload): Promise<ImportResponse> {
  const query = new URLSearchParams({ ...u.from, name: u.file.name.slice(0, 120), zone: u.zone });
  if (u.person !== "") query.set("person", u.person);
  return new Promise((resolve, reject) => {
    // fetch cannot tell how much has gone up.
    const x = new XMLHttpRequest();
    x.open("POST", `/import?${query.toString()}`);
    x.upload.onprogress = (e) => u.progress(e.loaded);
    x.onerror = () => reject(new Fault("offline", "", "no answer"));
    x.onabort = () => reject(new Fault("canceled", "", "canceled"));
    x.onload = () => {
      let body: unknown;
      try {
        body = JSON.parse(x.responseText);
      } catch {
        body = undefined;
      }
      if (x.status === 200 && body !== undefined) resolve(fromJson(ImportResponseSchema, body as JsonValue, { ignoreUnknownFields: true }));
      else reject(faultOfBody(x.status, body));
    };
    u.signal.addEventListener("abort", () => x.abort(), { once: true });
    x.send(u.file);
  });
}
