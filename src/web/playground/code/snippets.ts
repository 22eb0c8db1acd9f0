/** The form's request as code: for a shell, and for Node. Both quote the prompt, so that no part of it runs. */
import type { Body } from "../form/draft.ts";

const path = "/v1/images/generations";

/** A word of a POSIX shell: inside single quotes only the quote itself has a meaning. */
const quoteWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function curlOf(origin: string, body: Body): string {
  return [
    `curl -sS ${quoteWord(origin + path)}`,
    `  -H "authorization: Bearer $KEY"`,
    `  -H 'content-type: application/json'`,
    `  --data-raw ${quoteWord(JSON.stringify(body, null, 2))}`,
  ].join(" \\\n");
}

export function typeScriptOf(origin: string, body: Body): string {
  const submit = `(\`\${gateway}${path}\`, {
  method: "POST",
  headers,
  body: JSON.stringify(${literal(body, "  ")}),
})`;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder belongs to the written program.
  const poll = "(`${gateway}/v1/tasks/${task.id}?wait=30`, { headers })";
  return `const gateway = ${JSON.stringify(origin)};
const headers = {
  authorization: \`Bearer \${process.env.KEY}\`,
  "content-type": "application/json",
};

const submitted = await fetch${submit};
let task = await submitted.json();
if (!submitted.ok) throw new Error(task.error.message);

while (task.finished === null) {
  task = await (await fetch${poll}).json();
}
console.log(task.error?.message ?? task.results);
`;
}

/** JSON with TypeScript's bare keys. Only a key stands at the start of a line: JSON strings have no line breaks. */
function literal(value: unknown, indent: string): string {
  return JSON.stringify(value, null, 2)
    .replace(/^(\s*)"([a-z_]+)": /gm, "$1$2: ")
    .replaceAll("\n", `\n${indent}`);
}
