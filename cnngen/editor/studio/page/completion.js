// Completion, with the words that the language server offers.

import { ask } from "./api.js";
import { characters, units } from "./units.js";

const KINDS = {
  layer: "class",
  parameter: "property",
  value: "constant",
  sign: "text",
};

/** CodeMirror's completion source, for the page's current input shape and classes. */
export async function complete(context, ends) {
  const text = context.state.doc.toString();
  const begun = context.matchBefore(/[\w.]*/);
  if (!context.explicit && begun.from === begun.to) return null;
  let words;
  try {
    words = await ask("complete", { text, offset: characters(text, context.pos), ...ends });
  } catch {
    return null;
  }
  if (context.aborted || !words.length) return null;
  return {
    from: units(text)(words[0].start),
    options: words.map(({ text: label, kind, detail }) => ({
      label,
      type: KINDS[kind] ?? "keyword",
      detail,
    })),
    validFor: /^[\w.]*$/,
  };
}
