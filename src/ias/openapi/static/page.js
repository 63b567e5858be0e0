// Shows the document that lies beside this page; nothing is asked of anybody else.
const here = document.currentScript.src;

window.addEventListener("DOMContentLoaded", () => {
  window.SwaggerUIBundle({
    url: new URL("../openapi.json", here).href,
    dom_id: "#docs",
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    persistAuthorization: false,
    queryConfigEnabled: false,
    tryItOutEnabled: false,
    validatorUrl: null,
  });
});
