// The text editor: CodeMirror with highlighting, underlined faults, and shapes on hover.

import {
  Decoration,
  EditorState,
  EditorView,
  HighlightStyle,
  StreamLanguage,
  ViewPlugin,
  autocompletion,
  bracketMatching,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  defaultKeymap,
  drawSelection,
  highlightActiveLine,
  history,
  historyKeymap,
  hoverTooltip,
  keymap,
  lineNumbers,
  lintGutter,
  lintKeymap,
  placeholder,
  python,
  searchKeymap,
  setDiagnostics,
  syntaxHighlighting,
  tags,
} from "./libraries.js";
import { element, full, short, times } from "./dom.js";

const NONCE = document.querySelector('meta[name="style-nonce"]').content;

const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--code-word)", fontWeight: "600" },
  { tag: tags.controlKeyword, color: "var(--code-end)", fontWeight: "600" },
  { tag: tags.propertyName, color: "var(--code-name)" },
  { tag: tags.number, color: "var(--code-number)" },
  { tag: tags.atom, color: "var(--code-value)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-value)" },
  { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
  { tag: tags.definition(tags.name), color: "var(--ink)", fontWeight: "600" },
  { tag: [tags.className, tags.function(tags.definition(tags.variableName))], fontWeight: "600" },
  { tag: [tags.bracket, tags.operator], color: "var(--faint)" },
]);

/** What is left of a line that does not fit stands two columns behind its beginning. */
const DEEPEST = 24;
const INDENTS = Array.from({ length: DEEPEST + 1 }, (_, depth) =>
  Decoration.line({ class: `cm-indent-${depth}` }),
);
const INDENTED = EditorView.theme(
  Object.fromEntries(
    INDENTS.map((_, depth) => [
      `.cm-line.cm-indent-${depth}`,
      { paddingLeft: `calc(6px + ${depth + 2}ch)`, textIndent: `-${depth + 2}ch` },
    ]),
  ),
);
const WRAPPED = ViewPlugin.define(
  (view) => ({
    lines: indents(view),
    update(update) {
      if (update.docChanged || update.viewportChanged) this.lines = indents(update.view);
    },
  }),
  { decorations: (plugin) => plugin.lines },
);

function indents(view) {
  const found = [];
  for (const { from, to } of view.visibleRanges) {
    for (let at = from; at <= to; ) {
      const line = view.state.doc.lineAt(at);
      const depth = Math.min(DEEPEST, line.text.length - line.text.trimStart().length);
      found.push(INDENTS[depth].range(line.from));
      at = line.to + 1;
    }
  }
  return Decoration.set(found);
}

const LOOK = EditorView.theme({
  "&": { height: "100%", fontSize: "var(--code-size)", backgroundColor: "var(--panel)" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
  ".cm-gutters": {
    backgroundColor: "var(--panel)",
    color: "var(--faint)",
    border: "none",
  },
  ".cm-activeLine": { backgroundColor: "var(--active)" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground":
    { background: "var(--selection)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--selection)" },
  ".cm-tooltip": {
    backgroundColor: "var(--raised)",
    color: "var(--ink)",
    border: "1px solid var(--line)",
    borderRadius: "6px",
    boxShadow: "var(--shadow)",
    maxWidth: "min(36em, 90vw)",
  },
  ".cm-tooltip-autocomplete ul li[aria-selected]": {
    backgroundColor: "var(--accent)",
    color: "var(--on-accent)",
  },
  ".cm-diagnostic": { padding: "6px 10px", borderLeftColor: "var(--bad)" },
  ".cm-diagnostic-hint, .cm-diagnostic-info": { borderLeftColor: "var(--accent)" },
  ".cm-panels": { backgroundColor: "var(--raised)", color: "var(--ink)" },
  ".cm-textfield, .cm-button": {
    backgroundColor: "var(--panel)",
    backgroundImage: "none",
    color: "var(--ink)",
    borderColor: "var(--line)",
  },
  ".cm-placeholder": { color: "var(--faint)" },
  ".cm-searchMatch": { backgroundColor: "var(--selection)" },
});

const READ_ONLY = [EditorState.readOnly.of(true), EditorView.editable.of(true)];

/** The editor of descriptions. `words` maps each layer's word to its hyper-parameters. */
export class Editor {
  /** @param {{words: object, complete: Function, onText: Function, onCursor: Function}} how */
  constructor(parent, { words, complete, onText, onCursor }) {
    this.layers = [];
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          EditorView.cspNonce.of(NONCE),
          lineNumbers(),
          lintGutter(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          closeBrackets(),
          autocompletion({ override: [(context) => complete(context)] }),
          EditorView.lineWrapping,
          WRAPPED,
          INDENTED,
          EditorView.contentAttributes.of({ "aria-label": "Description", spellcheck: "false" }),
          placeholder("input conv pooling flatten dense output"),
          language(words),
          syntaxHighlighting(COLOURS),
          LOOK,
          hoverTooltip((_, place) => this.#about(place)),
          keymap.of([
            ...closeBracketsKeymap,
            // Ctrl-Enter trains; CodeMirror would insert a line.
            ...defaultKeymap.filter(({ key }) => key !== "Mod-Enter"),
            ...historyKeymap,
            ...completionKeymap,
            ...lintKeymap,
            ...searchKeymap,
          ]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) {
              this.layers = [];
              onText();
            }
            if (update.selectionSet || update.docChanged) {
              onCursor(update.state.selection.main.head);
            }
          }),
        ],
      }),
    });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  /** Replace the text, as an undoable change. */
  set text(text) {
    const changes = { from: 0, to: this.view.state.doc.length, insert: text };
    this.view.dispatch({ changes, selection: { anchor: 0 }, scrollIntoView: true });
  }

  focus() {
    this.view.focus();
  }

  /** Select a range of the text and scroll to it. */
  select(from, to) {
    this.view.dispatch({
      selection: { anchor: from, head: to },
      effects: EditorView.scrollIntoView(from, { y: "center" }),
    });
    this.focus();
  }

  /** Underline faults, each `{from, to, severity, message, hint}`. */
  mark(faults) {
    const marks = faults.map(({ from, to, severity, message, hint }) => ({
      ...whole(this.view.state.doc, from, to),
      severity,
      message,
      renderMessage: () =>
        element(
          "div",
          {},
          element("div", {}, message),
          hint ? element("div", { className: "hint" }, hint) : null,
        ),
    }));
    this.view.dispatch(setDiagnostics(this.view.state, marks));
  }

  /** Line and column of an offset, from 1. */
  position(place) {
    const line = this.view.state.doc.lineAt(Math.min(place, this.view.state.doc.length));
    return `${line.number}:${place - line.from + 1}`;
  }

  #about(place) {
    const here = this.layers.filter(({ from, to }) => from <= place && place <= to);
    if (!here.length) return null;
    const lines = here.map(({ name, kind, shape, parameters, flops }) => {
      const cost = `${full(parameters)} parameters, ${short(flops)} FLOPs`;
      return element("div", {}, element("b", {}, `${name} → ${times(shape)}`), ` ${kind}, ${cost}`);
    });
    return {
      pos: here[0].from,
      end: here[0].to,
      create: () => ({ dom: element("div", { className: "about" }, ...lines) }),
    };
  }
}

/** A read-only view of Python code. */
export class CodeView {
  constructor(parent, label) {
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        extensions: [
          EditorView.cspNonce.of(NONCE),
          ...READ_ONLY,
          lineNumbers(),
          drawSelection(),
          python(),
          syntaxHighlighting(COLOURS),
          LOOK,
          EditorView.contentAttributes.of({ "aria-label": label, "aria-readonly": "true" }),
          keymap.of([...defaultKeymap, ...searchKeymap]),
        ],
      }),
    });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  set text(text) {
    if (text === this.text) return;
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }
}

/** Make a range visible: a fault at the end of the text is shown before it. */
function whole(doc, from, to) {
  const end = Math.min(Math.max(to, from + 1), doc.length);
  return { from: Math.max(0, Math.min(from, end - 1)), to: end };
}

/** Syntax highlighting of the language. Faults come from the studio. */
function language(words) {
  const kinds = new Set(Object.keys(words));
  const names = new Set(Object.values(words).flat());
  return StreamLanguage.define({
    name: "cnn",
    startState: () => ({ comment: false }),
    token(stream, state) {
      if (state.comment || stream.match("/*")) {
        state.comment = !stream.match(/^.*?\*\//);
        if (state.comment) stream.skipToEnd();
        return "comment";
      }
      if (stream.match(/^\/\/.*/)) return "comment";
      if (stream.match(/^(->|→|=|,)/)) return "operator";
      if (stream.match(/^[[\]()]/)) return "bracket";
      if (stream.match(/^\d[\w.]*(\s*x\s*\d+)*/)) return "number";
      const word = stream.match(/^[A-Za-z_]\w*/)?.[0];
      if (word === undefined) {
        stream.next();
        return null;
      }
      if (kinds.has(word)) return "keyword";
      if (["input", "output", "Empty", "add", "concat"].includes(word)) return "controlKeyword";
      if (names.has(word)) return "propertyName";
      return stream.match(/^\s*(->|→)/, false) ? "definition" : "atom";
    },
    tokenTable: {
      definition: tags.definition(tags.name),
      keyword: tags.keyword,
      controlKeyword: tags.controlKeyword,
      propertyName: tags.propertyName,
      atom: tags.atom,
    },
  });
}
