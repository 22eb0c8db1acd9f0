/** The fields of all limits, of a tenant or of a key. */
import type { Tenant } from "#gateway";
import { showBinary, showNumber } from "../../ui/format.ts";
import { numberOf } from "./edits.ts";
import { TextField } from "./fields.tsx";

export type LimitName = keyof Tenant["limits"];

const labels: Record<LimitName, string> = {
  requests_per_minute: "Requests a minute",
  images_per_minute: "Images a minute",
  concurrent_tasks: "Tasks at a time",
  images_per_day: "Images a day",
  images_per_month: "Images a month",
  refusals_per_day: "Refused prompts a day",
  files_per_day: "Uploads a day",
  file_bytes: "Bytes of uploads",
};

export const limitNames = Object.keys(labels) as LimitName[];
/** The names that the gateway uses in a refusal. */
export const limitFieldNames = limitNames.map((name) => `limits.${name}`);
export const noLimitTexts = Object.fromEntries(limitNames.map((name) => [name, ""])) as Record<
  LimitName,
  string
>;

interface LimitFieldsProps {
  value: (name: LimitName) => string;
  edit: (name: LimitName, text: string) => void;
  errorAt: (field: string) => string | undefined;
  /** The meaning of an empty field. */
  empty: string;
}

export function LimitFields({ value, edit, errorAt, empty }: LimitFieldsProps) {
  return (
    <div class="fields">
      {limitNames.map((name) => (
        <TextField
          key={name}
          label={labels[name]}
          isNumber
          placeholder={empty}
          hint={name === "file_bytes" ? bytesInWords(value(name)) : undefined}
          value={value(name)}
          onEdit={(text) => edit(name, text)}
          error={errorAt(`limits.${name}`)}
        />
      ))}
    </div>
  );
}

/** "1,073,741,824 = 1 GiB": so many digits are hard to read. */
function bytesInWords(text: string): string | undefined {
  const bytes = numberOf(text);
  return typeof bytes === "number" ? `${showNumber(bytes)} = ${showBinary(bytes)}` : undefined;
}

/** The values of these limits as the API takes them. */
export function limitsOf(names: LimitName[], value: (name: LimitName) => string) {
  return Object.fromEntries(names.map((name) => [name, numberOf(value(name))]));
}
