// Bundles the libraries for the page, and gathers their licences beside them.
import { readFileSync, readdirSync, writeFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const page = new URL("../page/", import.meta.url).pathname;
const { metafile } = await build({
  entryPoints: ["index.js"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  outfile: join(page, "libraries.js"),
});

const folders = new Set(
  Object.keys(metafile.inputs)
    .map((path) => path.match(/node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0])
    .filter(Boolean),
);
const licences = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json")));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file && existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8") : license;
  return `${name} ${version}\n\n${text.trim()}\n`;
});
writeFileSync(join(page, "libraries.LICENSES.txt"), licences.join(`\n${"-".repeat(72)}\n\n`));
