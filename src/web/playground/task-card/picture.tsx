/** A finished picture with its links and buttons. */
import type { Task } from "#gateway";
import { CopyButton } from "../../ui/copy-button.tsx";
import { showBytes } from "../../ui/format.ts";
import "./picture.css";

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

/** The address if it is one of the web, for use in a link; otherwise undefined. */
export function webAddress(url: string): string | undefined {
  return /^https?:$/.test(URL.parse(url)?.protocol ?? "") ? url : undefined;
}
