/**
 * The gateway's definitions that the pages offer and check by: models, bounds, fields, events and statuses. The pages
 * import them as `#definitions`, and may import nothing else of the gateway's sources.
 */

import { isCallersFault, type TaskFailureCode, taskFailures } from "../../domain/failures.ts";
import { requestBounds } from "../../domain/generation-fields.ts";
import { browserMaxImages, keyScopes, maxOverlapDays } from "../../domain/keys.ts";
import { modelCatalog } from "../../domain/model-catalog.ts";
import { taskStatuses } from "../../domain/task.ts";
import { fieldFacts, fieldNames } from "../../domain/task-request.ts";
import { maxUploadBytes } from "../../domain/uploads.ts";
import { deliveryStates, webhookEvents } from "../../domain/webhooks.ts";

/** The fields of true and false that the playground offers, by name. */
const choices = Object.fromEntries(
  fieldNames.flatMap((name) => {
    const { choice, editingOnly = false } = fieldFacts[name];
    return choice ? [[name, { ...choice, editingOnly }]] : [];
  }),
);

const definitions = {
  modelCatalog,
  requestBounds,
  choices,
  browserMaxImages,
  maxUploadBytes,
  keyScopes,
  maxOverlapDays,
  /** Failures that the request caused. They say nothing about the gateway. */
  callersFaults: (Object.keys(taskFailures) as TaskFailureCode[]).filter(isCallersFault),
  taskStatuses,
  webhookEvents,
  deliveryStates,
};

/** A module of the definitions, as TypeScript. */
export const definitionsSource = Object.entries(definitions)
  .map(([name, value]) => `export const ${name} = ${JSON.stringify(value, null, 2)} as const;\n`)
  .join("\n");
