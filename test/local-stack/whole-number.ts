/**
 * A size or seed that a command takes from its environment: a whole number from 1 on. Anything else ends the process with a
 * sentence, before minutes are spent on it. @param otherwise Where it is not given, or empty.
 */
export function wholeNumber(name: string, otherwise: number): number {
  const text = process.env[name]?.trim() || String(otherwise);
  const number = Number(text);
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(number)) return number;
  console.error(`${name} must be a whole number from 1 on, not "${text}".`);
  return process.exit(1);
}
