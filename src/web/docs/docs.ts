/** `/docs`: the reference, drawn from `/openapi.json` by Swagger UI. This file names no operation. */
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";

SwaggerUI({
  dom_id: "#reference",
  url: "/openapi.json",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  // Swagger UI's validator is on another host, and a page's address must not change what the page loads.
  validatorUrl: null,
  queryConfigEnabled: false,
});
