/** `npm run dev`: the whole system until Ctrl-C. */
import { startStack } from "./stack.ts";

const port = Number(process.env.PORT?.trim() || 8787);
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  console.error(`PORT must be a number from 1 to 65535, not "${process.env.PORT}".`);
  process.exit(1);
}

const stack = await startStack({
  port,
  // A folder for each port: two systems at once must not share a database.
  folder: port === 8787 ? "dev" : `dev-${port}`,
  verbose: true,
  onStep: (step) => console.log(`· ${step}`),
}).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});

console.log(`
  playground ${stack.url}/            paste the key below, and make a picture
  dashboard  ${stack.url}/admin       sign in with the admin key below
  reference  ${stack.url}/docs

  gateway    ${stack.url}
  upstream   ${stack.upstreamUrl}${stack.simulated ? " (simulated)" : ""}
  tenant     ${stack.tenantId}

Paste this into another terminal, and then the recipes of docs/cookbook:

  export GATEWAY=${stack.url}
  export KEY=${stack.key}
  export ADMIN_KEY=${stack.adminKey}

  curl -s "$GATEWAY/v1/images/generations" -H "authorization: Bearer $KEY" \\
    -H 'content-type: application/json' -d '{"model":"wan-2.7-image","prompt":"a lighthouse at dusk"}'

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
