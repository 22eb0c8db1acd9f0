/** A list's filters. They are kept in the address, which survives a reload and can be sent to a colleague. */
import { type ComponentChildren, Fragment } from "preact";
import { useRef, useState } from "preact/hooks";
import { useSearchParams } from "wouter-preact";
import { Refusal } from "../ui/call.ts";
import { Field } from "../ui/field.tsx";
import { Problem } from "../ui/notice.tsx";
import "./filters.css";

export interface FilterField {
  /** The name of the API's parameter. */
  name: string;
  label: string;
  /** The values to choose from; undefined: any text. */
  options?: readonly string[];
}

export type Filtered = Record<string, string>;

/** The filters in the address, limited to these fields. */
function useFilters(fields: readonly FilterField[]) {
  const [search, setSearch] = useSearchParams();
  const values: Filtered = {};
  for (const { name } of fields) {
    const value = search.get(name);
    if (value) values[name] = value;
  }
  const id = new URLSearchParams(values).toString();
  // Enter in a text filter is a submit and a change: two events before the page is drawn anew.
  const applied = useRef(id);
  applied.current = id;
  const apply = (wanted: Filtered) => {
    const given = new URLSearchParams(
      Object.entries(wanted).flatMap(([name, text]) => (text.trim() ? [[name, text.trim()]] : [])),
    );
    // The same filters again would only add an entry to the browser's history.
    if (given.toString() === applied.current) return;
    applied.current = given.toString();
    setSearch(given);
  };
  return { values, apply, id };
}

export interface FilteredProps {
  fields: readonly FilterField[];
  /** Draws the list with these filters. It calls `onError` with the API's refusal, or with null. */
  children: (wanted: Filtered, onError: (error: unknown) => void) => ComponentChildren;
}

/** A list under its filters. With other filters the list begins anew; the form keeps its state and focus. */
export function FilteredList({ fields, children }: FilteredProps) {
  const filters = useFilters(fields);
  const [error, setError] = useState<unknown>(null);
  const isOfField = error instanceof Refusal && fields.some(({ name }) => name === error.param);
  return (
    <>
      <Filters fields={fields} filters={filters} error={error} />
      {!isOfField && <Problem error={error} />}
      <Fragment key={filters.id}>{children(filters.values, setError)}</Fragment>
    </>
  );
}

/** The options, and the chosen value if it is none of them: an address may hold any value, and the list uses it. */
const withChosen = (options: readonly string[], chosen: string | undefined): readonly string[] =>
  chosen && !options.includes(chosen) ? [...options, chosen] : options;

interface FiltersProps {
  fields: readonly FilterField[];
  filters: ReturnType<typeof useFilters>;
  /** A refusal of one of the fields is shown beside it. */
  error: unknown;
}

function Filters({ fields, filters, error }: FiltersProps) {
  const { values, apply, id } = filters;
  const [written, setWritten] = useState({ id, draft: values });
  // A new address replaces the draft during this drawing: an effect would run after the next key press.
  if (written.id !== id) setWritten({ id, draft: values });
  const draft = written.id === id ? written.draft : values;
  const inOrder = (wanted: Filtered) =>
    Object.fromEntries(fields.flatMap(({ name }) => (wanted[name] ? [[name, wanted[name]]] : [])));
  const set = (name: string, text: string) => ({ ...draft, [name]: text });
  return (
    // biome-ignore lint/a11y/useSemanticElements: a <search> is not known to all browsers yet.
    <form
      role="search"
      aria-label="Filters"
      class="filters panel"
      onSubmit={(event) => {
        event.preventDefault();
        apply(inOrder(draft));
      }}
    >
      {fields.map(({ name, label, options }) => (
        <Field
          key={name}
          label={label}
          error={error instanceof Refusal && error.param === name ? error.message : undefined}
        >
          {(control) =>
            options ? (
              <select
                {...control}
                value={draft[name] ?? ""}
                onChange={(event) => apply(inOrder(set(name, event.currentTarget.value)))}
              >
                <option value="">Any</option>
                {withChosen(options, draft[name]).map((option) => (
                  <option key={option}>{option}</option>
                ))}
              </select>
            ) : (
              <input
                {...control}
                autocomplete="off"
                spellcheck={false}
                value={draft[name] ?? ""}
                onInput={(event) => setWritten({ id, draft: set(name, event.currentTarget.value) })}
                onChange={() => apply(inOrder(draft))}
              />
            )
          }
        </Field>
      ))}
      <div class="filters-end">
        <button type="submit">Apply</button>
        <button type="button" class="quiet" disabled={id === ""} onClick={() => apply({})}>
          Clear
        </button>
      </div>
    </form>
  );
}
