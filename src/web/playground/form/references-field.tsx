/** The reference pictures. With them the model edits instead of drawing anew. */

import { useId, useRef, useState } from "preact/hooks";
import { maxUploadBytes } from "#definitions";
import { showBinary } from "../../ui/format.ts";
import { useSession } from "../session.ts";
import { webAddress } from "../task-card/picture.tsx";
import type { Draft, Edit, Reference } from "./draft.ts";
import type { FieldErrors } from "./draft-errors.ts";
import { Group } from "./group.tsx";
import { useReferences } from "./references.ts";
import { maxReferences } from "./rules.ts";
import "./references-field.css";

export interface ReferencesFieldProps {
  draft: Draft;
  edit: Edit;
  errors: FieldErrors;
}

export function ReferencesField({ draft, edit, errors }: ReferencesFieldProps) {
  const { references, notice, isDragged, addFiles, addUrls, remove } = useReferences(draft, edit);
  const { session } = useSession();
  const isFull = references.length >= maxReferences;
  const hint = session.uploads
    ? `PNG, JPEG or WebP of up to ${showBinary(maxUploadBytes)}. Drop or paste them anywhere on this page.`
    : "This key cannot upload: give addresses of pictures.";
  return (
    <Group
      label="References"
      class={isDragged ? "references dragged" : "references"}
      error={errors.image_urls}
      hint={hint}
    >
      {references.length > 0 && (
        <ol class="reference-list">
          {references.map((reference, index) => (
            <ReferenceItem
              key={reference.id}
              reference={reference}
              place={index + 1}
              error={reference.error ?? errors[`image_urls.${index}`]}
              onRemove={() => remove(reference)}
            />
          ))}
        </ol>
      )}
      {!isFull && <Adder canUpload={session.uploads} onFiles={addFiles} onUrl={(url) => addUrls([url])} />}
      <p class="soft" aria-live="polite">
        {notice}
      </p>
    </Group>
  );
}

interface AdderProps {
  canUpload: boolean;
  onFiles: (files: File[]) => void;
  onUrl: (url: string) => void;
}

function Adder({ canUpload, onFiles, onUrl }: AdderProps) {
  const [url, setUrl] = useState("");
  const picker = useRef<HTMLInputElement>(null);
  const [isWrong, setWrong] = useState(false);
  const id = useId();
  const addUrl = () => {
    if (url.trim() === "") return;
    const isWeb = webAddress(url.trim()) !== undefined;
    setWrong(!isWeb);
    if (!isWeb) return;
    onUrl(url.trim());
    setUrl("");
  };
  return (
    <div class="drop-zone">
      {canUpload && (
        <>
          <button type="button" onClick={() => picker.current?.click()}>
            Choose files
          </button>
          <input
            ref={picker}
            type="file"
            hidden
            multiple
            accept="image/png,image/jpeg,image/webp"
            onChange={(event) => {
              onFiles([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </>
      )}
      <div class="with-button">
        <input
          type="url"
          aria-label="Address of a reference"
          aria-invalid={isWrong}
          aria-describedby={isWrong ? id : undefined}
          placeholder="https://…"
          value={url}
          onInput={(event) => {
            setUrl(event.currentTarget.value);
            setWrong(false);
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            // Enter adds this address instead of sending the form.
            event.preventDefault();
            addUrl();
          }}
        />
        <button type="button" onClick={addUrl} disabled={url.trim() === ""}>
          Add
        </button>
      </div>
      {isWrong && (
        <p class="field-error" id={id} role="alert">
          An address begins with https:// or http://.
        </p>
      )}
    </div>
  );
}

interface ReferenceItemProps {
  reference: Reference;
  place: number;
  error: string | undefined;
  onRemove: () => void;
}

function ReferenceItem({ reference, place, error, onRemove }: ReferenceItemProps) {
  const { preview, name, url } = reference;
  const [isShown, setShown] = useState(true);
  const isUploading = url === undefined && error === undefined;
  return (
    <li class={error ? "reference wrong" : "reference"}>
      {preview && isShown ? (
        <img src={preview} alt={`Reference ${place}`} onError={() => setShown(false)} />
      ) : (
        <span class="no-preview" aria-hidden="true">
          {place}
        </span>
      )}
      <div>
        <span class="reference-name" title={name}>
          Image {place}: {name}
        </span>
        <span class="reference-state" role="status">
          {isUploading && (
            <>
              <span class="spinner" /> Uploading…
            </>
          )}
          {error && <span class="field-error">{error}</span>}
        </span>
      </div>
      <button type="button" class="quiet" aria-label={`Remove reference ${place}`} onClick={onRemove}>
        ✕
      </button>
    </li>
  );
}
