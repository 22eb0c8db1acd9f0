/** A finished picture, and what can be done with it. */
import type { Task } from "#gateway";
import { CopyButton } from "../ui/copy-button.tsx";
import { showBytes } from "../ui/format.ts";

export interface PictureProps {
  image: Task["images"][number];
  alt: string;
  onEdit: (url: string) => void;
}

export function Picture({ image, alt, onEdit }: PictureProps) {
  const { url, width, height, bytes } = image;
  const href = webAddress(url);
  return (
    <figure class="picture">
      <a href={href} target="_blank" rel="noreferrer" aria-label="Open the picture by itself">
        <img src={href} alt={alt} width={width} height={height} />
      </a>
      <figcaption>
        <small class="soft">
          {width} × {height}, {showBytes(bytes)}
        </small>
        <span class="row">
          <CopyButton text={url} label="Copy link" />
          <a class="button quiet" href={href && `${href}?download=1`} download="">
            Download
          </a>
          <button type="button" class="quiet" onClick={() => onEdit(url)}>
            Edit this
          </button>
        </span>
      </figcaption>
    </figure>
  );
}

/** An address that a link may lead to; nothing else comes from the gateway, and nothing else would be followed. */
export function webAddress(url: string): string | undefined {
  return /^https?:$/.test(URL.parse(url)?.protocol ?? "") ? url : undefined;
}
