/** `/docs`: the reference, drawn from `/openapi.json` by Swagger UI. Nothing here knows of any operation. */
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";

SwaggerUI({
  dom_id: "#reference",
  url: "/openapi.json",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  // Its own validator is on another host, and what a page is told in its address must not change what it loads.
  validatorUrl: null,
  queryConfigEnabled: false,
});
