// The sample view: draws a network from a space with a seed.

import { ask, Refusal } from "./api.js";
import { choice, element, field, notice } from "./dom.js";

const BOUNDED = { layers: "Layers", parameters: "Parameters", flops: "FLOPs an image" };

export class Sample {
  /**
   * @param {() => object} ends the image and classes that the network is for
   * @param {(text: string, name: string) => void} onText a network was drawn
   */
  constructor(panel, spaces, ends, onText) {
    this.ends = ends;
    this.onText = onText;
    const count = (name, title) =>
      element("input", { name, type: "number", min: 0, step: 1, title, placeholder: "any" });
    this.result = element("div", { role: "status" });
    this.form = element(
      "form",
      {
        className: "card",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.draw();
          },
        },
      },
      element("h2", {}, "Draw a network"),
      element(
        "p",
        { className: "hint" },
        "The same space, seed and bounds give the same network on every machine. ",
        "Networks outside the bounds are drawn again.",
      ),
      element(
        "div",
        { className: "fields" },
        field("Space", choice("space", spaces.map((name) => [name, name]))),
        field(
          "Seed",
          element("input", {
            name: "seed",
            type: "number",
            min: 0,
            step: 1,
            value: 0,
            required: true,
          }),
        ),
      ),
      ...Object.entries(BOUNDED).map(([name, title]) =>
        element(
          "fieldset",
          {},
          element("legend", {}, title),
          field("from", count(`${name}-least`, `least ${title}`)),
          field("to", count(`${name}-most`, `most ${title}`)),
        ),
      ),
      element(
        "div",
        { className: "row" },
        element("button", { className: "primary" }, "Sample"),
        element("button", { type: "button", on: { click: () => this.next() } }, "Next seed"),
      ),
      this.result,
    );
    this.picture = element("img", { className: "preview", alt: "The network that was drawn", hidden: true });
    panel.append(element("div", { className: "scroller" }, this.form, this.picture));
  }

  /**
   * Show the drawing of the text, as an image, so that nothing in it is interactive; nothing
   * before a network was drawn here.
   */
  preview(svg) {
    if (!this.drawn) return;
    this.picture.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    this.picture.hidden = false;
  }

  /** Draw with the next seed. */
  next() {
    const { seed } = this.form.elements;
    seed.value = Number(seed.value) + 1;
    return this.draw();
  }

  async draw() {
    if (!this.form.reportValidity()) return;
    const { elements } = this.form;
    const bound = (name) => (elements[name].value === "" ? null : Number(elements[name].value));
    const { input_shape, classes } = this.ends();
    const seed = Number(elements.seed.value);
    const question = { space: elements.space.value, seed, input_shape, classes };
    for (const name of Object.keys(BOUNDED)) {
      question[name] = [bound(`${name}-least`), bound(`${name}-most`)];
    }
    this.result.replaceChildren("Drawing…");
    try {
      const { name, text } = await ask("sample", question);
      this.drawn = true;
      this.result.replaceChildren(`Seed ${seed} of ${question.space} is in the editor.`);
      this.onText(text, name);
    } catch (error) {
      this.result.replaceChildren();
      if (!(error instanceof Refusal)) return;
      this.result.replaceChildren(notice(error.message, error.hint));
    }
  }
}
