/** The table `tokens`, and its codec: how many images each client token has used. */
import { rowCodec, text, whole } from "../domain/stored.ts";

const used = rowCodec<{ id: string; images: number }>("tokens", {
  id: ["id", text],
  images: ["images", whole],
});

/** Images that a client token has used. @throws StoredDataUnreadable */
export function readTokenImages(sql: SqlStorage, id: string): number {
  const [row] = sql.exec(`SELECT ${used.columns} FROM tokens WHERE id = ?`, id).toArray();
  return row ? used.read(row).images : 0;
}

/** Adds to what a token has used. Tokens that have expired a day ago are deleted on the way. */
export function addTokenImages(
  sql: SqlStorage,
  token: { id: string; expiresMs: number },
  images: number,
  nowMs: number,
): void {
  sql.exec("DELETE FROM tokens WHERE expires_ms < ?", nowMs - 86_400_000);
  sql.exec(
    `INSERT INTO tokens (id, images, expires_ms) VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET images = images + ?2`,
    token.id,
    images,
    token.expiresMs,
  );
}

/** Gives images back to a token whose row is still there. What is no number stays, or it would become one. */
export function returnTokenImages(sql: SqlStorage, id: string, images: number): void {
  sql.exec(
    "UPDATE tokens SET images = max(0, images - ?) WHERE id = ? AND typeof(images) IN ('integer', 'real')",
    images,
    id,
  );
}
