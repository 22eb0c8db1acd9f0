/** `GET /openai/v1/models`: the list of models, where OpenAI's clients expect it. */
import type { Config } from "../../config.ts";
import type { Api } from "../../http/context.ts";
import { modelsContract, serveModels } from "../account/list-models.ts";

export function openAiListModels(api: Api, config: Config): void {
  serveModels(api, config, modelsContract("/openai/v1/models", "openai-list-models", "OpenAI"));
}
