/** Words of the domain as SQL, so that a statement lists none of them by itself. */

/** A list of words, as what follows `IN`. */
export function sqlWords(words: readonly string[]): string {
  return `(${words.map((word) => `'${word}'`).join(", ")})`;
}

/** A word for each value of a column. */
export function sqlCase(column: string, words: Readonly<Record<string, string>>): string {
  const cases = Object.entries(words).map(([value, word]) => `WHEN '${value}' THEN '${word}'`);
  return `CASE ${column} ${cases.join(" ")} END`;
}
