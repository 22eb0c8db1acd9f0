/** The form of a request: its fields, its price, and the button that sends it. */
import { useEffect, useRef } from "preact/hooks";
import { count } from "../../ui/format.ts";
import { CountedText } from "./counted-text.tsx";
import type { Body, Draft, Edit } from "./draft.ts";
import { type FieldErrors, fieldErrorsOf, unchangedErrors } from "./draft-errors.ts";
import { ModelField, type PricedModel } from "./model-field.tsx";
import { MoreFields } from "./more-fields.tsx";
import { NumberField } from "./number-field.tsx";
import { useQuote } from "./quote.ts";
import { ReferencesField } from "./references-field.tsx";
import { Refused } from "./refused-notice.tsx";
import { maxImagesOf, maxPromptOf } from "./rules.ts";
import { SizeField } from "./size-field.tsx";
import type { useSubmission } from "./submission.ts";
import "./form.css";

export interface FormProps {
  draft: Draft;
  edit: Edit;
  body: Body;
  /** The errors that the page finds before the request is sent. */
  problems: FieldErrors;
  models: PricedModel[];
  submission: ReturnType<typeof useSubmission>;
}

export function Form({ draft, edit, body, problems, models, submission }: FormProps) {
  const { submit, isSending, refused, secondsLeft } = submission;
  const form = useRef<HTMLFormElement>(null);
  const { fields, rest } = fieldErrorsOf(refused?.error, refused?.body);
  const errors = { ...(refused && unchangedErrors(fields, refused.body, body)), ...problems };
  const isRight = Object.keys(problems).length === 0;
  const isUploading = draft.references.some(({ url, error }) => url === undefined && error === undefined);
  const hasFailed = draft.references.some(({ error }) => error !== undefined);
  const isReady = draft.prompt.trim() !== "" && !isUploading && !hasFailed;
  const mayGo = isReady && !isSending && secondsLeft === 0;

  // The focus goes to the first wrong field, once for each refusal.
  useEffect(() => {
    if (refused) goToProblem(form.current);
  }, [refused]);

  const send = () => {
    if (!isRight) goToProblem(form.current);
    else if (mayGo) void submit(body);
  };
  return (
    <form
      ref={form}
      class="panel draft"
      aria-label="Picture"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <CountedText
        label="Prompt"
        placeholder="A lighthouse at dusk, storm clouds behind it, oil on canvas"
        hint={
          draft.references.length > 0 ? "Say image 1, image 2 for the references." : "In English or Chinese."
        }
        value={draft.prompt}
        most={maxPromptOf(body.model)}
        rows={4}
        error={errors.prompt}
        onInput={(prompt) => edit({ prompt })}
        onSend={send}
      />
      <ReferencesField draft={draft} edit={edit} errors={errors} />
      <ModelField models={models} chosen={body.model} edit={edit} error={errors.model} />
      <SizeField draft={draft} model={body.model} edit={edit} errors={errors} />
      <NumberField n={draft.n} maxImages={maxImagesOf(body.model)} edit={edit} error={errors.n} />
      <MoreFields draft={draft} edit={edit} errors={errors} />
      <div class="send">
        <Refused error={refused?.untilMs === undefined ? rest : refused.error} secondsLeft={secondsLeft} />
        {hasFailed && <p class="field-error">Remove the reference that failed, or choose it again.</p>}
        <div class="row">
          <Price body={body} isReady={isReady && isRight} />
          <button type="submit" class="primary" disabled={!mayGo}>
            {isSending ? "Sending…" : isUploading ? "Uploading…" : "Make it"}
          </button>
        </div>
      </div>
    </form>
  );
}

function goToProblem(form: HTMLFormElement | null): void {
  form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}

function Price({ body, isReady }: { body: Body; isReady: boolean }) {
  const quoted = useQuote(body, isReady);
  return (
    <p class="price" aria-live="polite">
      {quoted && `${count(quoted.images, "image")}, ${count(quoted.credits, "credit")}`}
    </p>
  );
}
