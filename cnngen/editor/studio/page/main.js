// The page: checks the text while typing, and updates the views.

import { ask, Refusal, watch } from "./api.js";
import { Code } from "./code.js";
import { complete } from "./completion.js";
import { Cost } from "./cost.js";
import { Diagram } from "./diagram.js";
import { Draft } from "./document.js";
import { download, element, full, notice, short, times } from "./dom.js";
import { Editor } from "./editor.js";
import { Explore } from "./explore.js";
import { Prediction } from "./prediction.js";
import { Sample } from "./sample.js";
import { Tabs } from "./tabs.js";
import { Train } from "./train.js";
import { units } from "./units.js";

const PAUSE = 80; // ms without a key before the text is checked

const at = (id) => document.getElementById(id);

class Page {
  constructor(start) {
    this.start = start;
    this.draft = new Draft(start.file);
    this.checked = null;
    this.fillEnds();
    this.editor = new Editor(at("text"), {
      words: start.words,
      complete: (context) => complete(context, this.ends()),
      onText: () => this.changed(),
      onCursor: (place) => this.moved(place),
    });
    const question = () => ({ text: this.editor.text, ...this.ends() });
    const onText = (text, name) => this.take(text, name);
    this.diagram = new Diagram(at("diagram"), (index) => this.select(index));
    this.code = new Code(at("code"), start.backends, question);
    this.cost = new Cost(at("cost"), (index) => this.select(index));
    this.prediction = new Prediction(at("prediction"), question);
    this.sample = new Sample(at("sample"), start.spaces, () => this.ends(), onText);
    this.train = new Train(at("train"), start, question);
    this.explore = new Explore(at("explore"), start.folder, onText);
    this.tabs = new Tabs(document.querySelector('[role="tablist"]'), (name) => this.opened(name));
    this.listen();
    this.editor.text = this.draft.text;
    this.tabs.show("diagram");
    this.editor.focus();
    this.check();
  }

  /** The values used for what the text leaves open. */
  ends() {
    const { space, seed, input, classes } = at("ends").elements;
    return {
      space: space.value,
      seed: Number(seed.value),
      input_shape: input.value.split("x").map(Number),
      classes: Number(classes.value),
    };
  }

  fillEnds() {
    const { start } = this;
    const { space, seed, input, classes } = at("ends").elements;
    space.append(...start.spaces.map((name) => element("option", { value: name }, name)));
    const kept = this.draft.ends;
    space.value = start.spaces.includes(kept?.space) ? kept.space : start.space;
    seed.value = kept?.seed ?? 0;
    input.value = (kept?.input_shape ?? start.input_shape).join("x");
    classes.value = kept?.classes ?? start.classes;
  }

  listen() {
    at("ends").addEventListener("input", () => this.changed());
    at("ends").addEventListener("submit", (event) => event.preventDefault());
    at("open").addEventListener("click", () => at("file").click());
    at("file").addEventListener("change", () => this.openFile());
    at("save").addEventListener("click", () => this.save());
    at("download").addEventListener("click", () => this.download());
    at("back").addEventListener("click", () => this.back());
    at("keys").addEventListener("click", () => at("shortcuts").showModal());
    window.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("pagehide", () => this.store());
    watch(
      () => (at("lost").hidden = false),
      () => (at("lost").hidden = true),
    );
  }

  /** Handle a change of the text, the input shape or the classes. */
  changed() {
    this.draft.text = this.editor.text;
    this.title();
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.check(), PAUSE);
  }

  title() {
    const { name, unsaved, away, file, bound } = this.draft;
    at("name").textContent = name;
    at("unsaved").hidden = !unsaved;
    at("back").hidden = !away;
    at("back").textContent = `Back to ${file?.name}`;
    at("save").textContent = bound || !file ? "Save" : "Save a copy";
    document.title = `${unsaved ? "• " : ""}${name} – CNNGen studio`;
  }

  store() {
    if (at("ends").checkValidity()) this.draft.ends = this.ends();
    this.draft.store();
  }

  /** Check the text: one request at a time, and always the latest text. */
  async check() {
    this.store();
    this.title();
    if (this.checking) {
      this.again = true;
      return;
    }
    if (!at("ends").reportValidity()) return;
    this.checking = true;
    do {
      this.again = false;
      const { text } = this.editor;
      try {
        const checked = await ask("check", { text, ...this.ends() });
        if (text === this.editor.text) this.show(text, checked);
      } catch (error) {
        if (error instanceof Refusal) this.show(text, { faults: [error], whole: false });
      }
    } while (this.again);
    this.checking = false;
  }

  /** Show the result of a check. */
  show(text, { faults, whole, network, layers, svg }) {
    const unit = units(text);
    const marked = faults.map((fault) => ({
      severity: "error",
      ...fault,
      message: fault.message,
      from: unit(fault.start ?? 0),
      to: unit(fault.end ?? 0),
      placed: fault.start !== null && fault.start !== undefined,
    }));
    this.editor.mark(text.trim() ? marked.filter(({ placed }) => placed) : []);
    this.list(marked);
    this.layers = (layers ?? []).map((layer) => ({
      ...layer,
      from: unit(layer.start),
      to: unit(layer.end),
    }));
    this.editor.layers = this.layers;
    this.network = whole ? network : null;
    this.partial = network && !whole;
    this.stale = !network;
    if (network) this.good = { network, layers: this.layers, svg };
    this.summarise(text, marked);
    this.refresh();
    document.body.dataset.checked = text.length;
  }

  /** Update the open view; the others are updated when opened. */
  refresh() {
    const { good, stale } = this;
    const blank = !this.editor.text.trim();
    switch (this.tabs.open) {
      case "diagram":
        if (blank) this.diagram.nothing("Write a network, or sample one.");
        else this.draw();
        break;
      case "code":
        if (!blank) this.code.update();
        break;
      case "cost":
        if (good) this.cost.show(good.network, good.layers);
        if (stale) this.cost.outdated();
        break;
      case "prediction":
        if (!blank) this.prediction.update();
        break;
      case "sample":
        if (good?.svg) this.sample.preview(good.svg);
        break;
    }
  }

  draw() {
    const { good, stale, partial } = this;
    if (good?.svg) this.diagram.show(good.svg, good.network.name ?? good.network.id);
    else if (good) {
      const count = full(good.network.layers);
      this.diagram.nothing(`${count} layers are too many to draw as one types.`);
    }
    if (stale) this.diagram.outdated();
    else if (partial) this.diagram.fresh("Drawn without what is wrong.");
    this.moved(this.editor.view.state.selection.main.head);
  }

  summarise(text, faults) {
    const errors = faults.filter(({ severity }) => severity === "error");
    at("status").className = errors.length ? "bad" : "good";
    if (!text.trim()) at("status").textContent = "Nothing is written yet.";
    else if (errors.length) {
      at("status").textContent = errors.length === 1 ? "One fault" : `${errors.length} faults`;
    } else if (this.network) {
      const { layers, parameters, flops, input, output } = this.network;
      at("status").textContent =
        `${full(layers)} layers, ${short(parameters)} parameters, ${short(flops)} FLOPs; ` +
        `${times(input)} to ${output}`;
    } else at("status").textContent = "Not checked.";
  }

  list(faults) {
    const items = faults.map(({ from, to, message, hint, severity, placed }) => {
      const place = placed ? element("span", { className: "place" }, this.editor.position(from)) : null;
      const go = element(
        "button",
        {
          type: "button",
          className: severity,
          disabled: !placed,
          on: { click: () => this.editor.select(from, to) },
        },
        place,
        element("span", {}, message, hint ? element("small", {}, hint) : null),
      );
      return element("li", {}, go);
    });
    at("faults").replaceChildren(...items.slice(0, 50));
  }

  opened(name) {
    if (name === "explore" && !this.explored) {
      this.explored = true;
      this.explore.look();
    }
    this.refresh();
  }

  select(index) {
    const layer = this.layers[index];
    if (layer) this.editor.select(layer.from, layer.to);
  }

  /** Highlight the boxes of the word at the cursor. */
  moved(place) {
    const inside = ({ from, to }) => from <= place && place <= to;
    const here = (this.layers ?? []).map((layer, index) => [layer, index]);
    const found = here.filter(([layer]) => inside(layer));
    // Of a merge and a layer in it, choose the layer.
    const least = Math.min(...found.map(([{ from, to }]) => to - from));
    const meant = found.filter(([{ from, to }]) => to - from === least);
    this.diagram?.mark(meant.map(([, index]) => index));
  }

  take(text, name, saved = null) {
    this.draft.take(text, name, saved);
    this.editor.text = text;
    this.title();
  }

  async openFile() {
    const [file] = at("file").files;
    at("file").value = "";
    if (!file) return;
    if (file.size > 4 * this.start.characters) return this.say(`${file.name} is too large.`);
    const text = (await file.text()).replaceAll("\r\n", "\n");
    this.take(text, file.name, text);
    this.editor.focus();
  }

  async save() {
    if (!this.draft.bound) return this.download();
    try {
      const { text } = this.editor;
      this.draft.keep(await ask("save", { text, digest: this.draft.digest }));
      this.title();
      this.store();
    } catch (error) {
      if (error instanceof Refusal) this.say(error.message, error.hint);
    }
  }

  download() {
    download(this.draft.name, this.editor.text);
    if (!this.draft.bound) this.draft.keep();
    this.title();
    this.store();
  }

  async back() {
    const { file } = await ask("start");
    this.draft.begin(file);
    this.editor.text = this.draft.text;
    this.title();
    this.editor.focus();
  }

  /** Show a message without a position in the text. */
  say(message, hint = null) {
    at("faults").replaceChildren(element("li", {}, notice(message, hint)));
  }

  key(event) {
    const mod = event.ctrlKey || event.metaKey;
    const { code, altKey, shiftKey } = event;
    const act = () => {
      if (mod && !altKey && !shiftKey && code === "KeyS") return () => this.save();
      if (mod && code === "Enter") {
        return () => {
          this.tabs.show("train");
          this.train.start();
        };
      }
      if (altKey && !mod && /^Digit[1-7]$/.test(code)) {
        return () => this.tabs.go(Number(code.at(-1)) - 1);
      }
      if (altKey && !mod && code === "Digit0") return () => this.editor.focus();
      if (altKey && !mod && code === "KeyN") return () => this.sample.next();
      const writing = event.target.closest?.("input, select, textarea, [contenteditable=true]");
      if (event.key === "?" && !writing) return () => at("shortcuts").showModal();
      return null;
    };
    const what = act();
    if (!what) return;
    event.preventDefault();
    what();
  }
}

function theme() {
  const chosen = at("theme");
  const set = () => {
    if (chosen.value) document.documentElement.dataset.theme = chosen.value;
    else delete document.documentElement.dataset.theme;
  };
  chosen.value = localStorage.getItem("cnngen-theme") ?? "";
  set();
  chosen.addEventListener("change", () => {
    localStorage.setItem("cnngen-theme", chosen.value);
    set();
  });
}

theme();
try {
  new Page(await ask("start"));
  document.body.dataset.ready = "";
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  document.querySelector("main").replaceChildren(notice(error.message, error.hint));
}
