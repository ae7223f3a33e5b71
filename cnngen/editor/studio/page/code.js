// The code view: the source code that each backend generates.

import { ask, Refusal } from "./api.js";
import { choice, download, element, field, notice } from "./dom.js";
import { CodeView } from "./editor.js";

export class Code {
  /** @param {() => object} question builds the request for the current text */
  constructor(panel, backends, question) {
    this.question = question;
    this.asked = 0;
    const can = backends.filter(({ can }) => can.includes("emit"));
    this.backends = new Map(can.map((backend) => [backend.name, backend]));
    const again = { on: { change: () => this.update() } };
    const names = can.map(({ name, framework }) => [name, framework ?? name]);
    this.backend = choice("backend", names, again);
    this.script = element("input", { type: "checkbox", name: "script", ...again });
    this.said = element("span", { role: "status" });
    this.problem = element("div");
    this.place = element("div", { className: "code" });
    panel.append(
      element(
        "div",
        { className: "tools" },
        field("Backend", this.backend),
        element("label", {}, this.script, " trains by itself"),
        element("span", { className: "space" }),
        this.said,
        element("button", { type: "button", on: { click: () => this.#copy() } }, "Copy"),
        element("button", { type: "button", on: { click: () => this.#save() } }, "Download"),
      ),
      this.problem,
      this.place,
    );
    this.view = new CodeView(this.place, "Generated code");
  }

  async update() {
    const asked = ++this.asked;
    const backend = this.backend.value;
    const script = this.script.checked && this.backends.get(backend).can.includes("script");
    this.script.disabled = !this.backends.get(backend)?.can.includes("script");
    try {
      const { name, code } = await ask("generate", { ...this.question(), backend, script });
      if (asked !== this.asked) return;
      this.name = name;
      this.view.text = code;
      this.problem.replaceChildren();
      this.place.classList.remove("stale");
    } catch (error) {
      if (!(error instanceof Refusal) || asked !== this.asked) return;
      this.problem.replaceChildren(notice(error.message, error.hint));
      this.place.classList.add("stale");
    }
  }

  async #copy() {
    await navigator.clipboard.writeText(this.view.text);
    this.said.textContent = "Copied.";
    setTimeout(() => (this.said.textContent = ""), 2000);
  }

  #save() {
    if (this.name) download(this.name, this.view.text, "text/x-python");
  }
}
