/** `npm run dev`: the whole system until Ctrl-C. */
import { startStack } from "./stack.ts";

const stack = await startStack({
  port: Number(process.env.PORT ?? 8787),
  folder: "dev",
  verbose: true,
  onStep: (step) => console.log(`· ${step}`),
}).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});

console.log(`
  gateway    ${stack.url}
  upstream   ${stack.upstreamUrl}${stack.simulated ? " (simulated; prompts may hold [sim:…] scripts)" : ""}
  tenant     ${stack.tenantId}
  key        ${stack.key}
  admin key  ${stack.adminKey}

  curl -s ${stack.url}/v1/images/generations \\
    -H 'authorization: Bearer ${stack.key}' -H 'content-type: application/json' \\
    -d '{"model":"wan-2.7-image","prompt":"a lighthouse at dusk"}'

  Ctrl-C ends all of it.
`);

let closing = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    stack.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
