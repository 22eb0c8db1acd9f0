/** Reference pictures that are dropped, pasted, picked or named by address, and their uploads. */
import { useLayoutEffect, useState } from "preact/hooks";
import { createFile } from "#gateway";
import { Refusal } from "../../ui/call.ts";
import { showBinary } from "../../ui/format.ts";
import { useSession } from "../session.ts";
import { type Draft, type Edit, nextReferenceId, type Reference, referenceTo } from "./draft.ts";
import { maxReferences } from "./rules.ts";

export function useReferences(draft: Draft, edit: Edit) {
  const { ask } = useSession();
  const [notice, setNotice] = useState("");
  const { references } = draft;

  const add = (wanted: Reference[]): Reference[] => {
    const room = Math.max(0, maxReferences - references.length);
    const taken = wanted.slice(0, room);
    setNotice(
      taken.length < wanted.length ? `At most ${maxReferences} references: the rest was left out.` : "",
    );
    edit((now) => ({ references: [...now.references, ...taken] }));
    return taken;
  };
  const settle = (id: string, change: Partial<Reference>) =>
    edit((now) => ({
      references: now.references.map((one) => (one.id === id ? { ...one, ...change } : one)),
    }));

  const addFiles = (files: File[]) => {
    const fresh = files.map((file) => ({ file, reference: waiting(file) }));
    const taken = add(fresh.map(({ reference }) => reference));
    for (const { file, reference } of fresh) {
      if (!taken.includes(reference)) URL.revokeObjectURL(reference.preview ?? "");
      else {
        ask(createFile({ file })).then(
          ({ url }) => settle(reference.id, { url }),
          (error: unknown) => settle(reference.id, { error: messageOf(error) }),
        );
      }
    }
  };
  const addUrls = (urls: string[]) => {
    if (urls.length > 0) add(urls.map((url) => referenceTo(url)));
  };
  const remove = (gone: Reference) => {
    if (gone.preview?.startsWith("blob:")) URL.revokeObjectURL(gone.preview);
    setNotice("");
    edit((now) => ({ references: now.references.filter(({ id }) => id !== gone.id) }));
  };
  const isDragged = useDropAndPaste(addFiles, addUrls);
  return { references, notice, isDragged, addFiles, addUrls, remove };
}

function waiting(file: File): Reference {
  const preview = URL.createObjectURL(file);
  return { id: nextReferenceId(), name: file.name, url: undefined, preview, error: undefined };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Refusal)) return "The upload has failed.";
  // The error stands beside its picture, so the field's name is left out.
  const text = error.message
    .replace(/^file: /, "")
    .replace(/(\d{4,}) bytes/g, (_, bytes) => showBinary(Number(bytes)));
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Adds pictures and addresses that are dropped or pasted anywhere on the page. Without it, a file dropped beside the
 * zone would make the browser leave the page for the file.
 */
function useDropAndPaste(addFiles: (files: File[]) => void, addUrls: (urls: string[]) => void): boolean {
  const [isDragged, setDragged] = useState(false);
  // A layout effect runs before the zone is drawn, and so before a file can be dropped on it.
  useLayoutEffect(() => {
    const onDrag = (event: DragEvent) => {
      if (!holdsReference(event.dataTransfer)) return;
      event.preventDefault();
      setDragged(true);
    };
    const onLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setDragged(false);
    };
    const onDrop = (event: DragEvent) => {
      setDragged(false);
      if (!holdsReference(event.dataTransfer) || isText(event.target)) return;
      event.preventDefault();
      take(event.dataTransfer);
    };
    const onPaste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      // Text that is pasted into a field belongs to the field.
      if (files.length === 0 && isText(event.target)) return;
      if (take(event.clipboardData)) event.preventDefault();
    };
    const take = (data: DataTransfer | null): boolean => {
      const files = [...(data?.files ?? [])];
      const urls =
        files.length > 0 ? [] : addressesIn(data?.getData("text/uri-list") || data?.getData("text") || "");
      if (files.length > 0) addFiles(files);
      addUrls(urls);
      return files.length + urls.length > 0;
    };
    addEventListener("dragover", onDrag);
    addEventListener("dragleave", onLeave);
    addEventListener("drop", onDrop);
    addEventListener("paste", onPaste);
    return () => {
      removeEventListener("dragover", onDrag);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDrop);
      removeEventListener("paste", onPaste);
    };
  });
  return isDragged;
}

const holdsReference = (data: DataTransfer | null): boolean =>
  ["Files", "text/uri-list"].some((type) => data?.types.includes(type));

const isText = (target: EventTarget | null): boolean =>
  target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type !== "radio");

/** Each line that is a web address; a line that begins with `#` is a comment (RFC 2483). */
function addressesIn(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => /^https?:$/.test(URL.parse(line)?.protocol ?? ""));
}
