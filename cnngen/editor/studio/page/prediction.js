// The prediction view: the results expected of the network without training.

import { ask, Refusal } from "./api.js";
import { element, notice, percent } from "./dom.js";

/** The name of each target, and the format of its figures. */
const TARGETS = {
  accuracy: ["Test accuracy", percent],
  time: ["Training time", (seconds) => `${digits(seconds)} s`],
  energy: ["Energy of training", (kilowatthours) => `${digits(kilowatthours * 1e6)} mWh`],
  trainability: ["Chance that it trains", percent],
};

export class Prediction {
  /** @param {() => object} question builds the request for the current text */
  constructor(panel, question) {
    this.question = question;
    this.sheet = element("div", { className: "scroller", "aria-live": "polite" });
    panel.append(this.sheet);
  }

  /** Update: one request at a time, and always the latest text. */
  async update() {
    this.again = true;
    if (this.asking) return;
    this.asking = true;
    this.sheet.classList.add("stale");
    if (!this.sheet.children.length) {
      this.sheet.append(element("p", { className: "hint" }, "Asking the model…"));
    }
    while (this.again) {
      this.again = false;
      try {
        this.#show(await ask("predict", this.question()));
      } catch (error) {
        if (error instanceof Refusal) this.sheet.replaceChildren(notice(error.message, error.hint, "info"));
      }
    }
    this.asking = false;
    this.sheet.classList.remove("stale");
  }

  #show({ forecasts, outside, origin }) {
    const cards = forecasts.map(({ target, mean, low, high }) => {
      const [name, format] = TARGETS[target] ?? [target, digits];
      const between = target === "trainability" ? "" : `${format(low)} to ${format(high)}`;
      return element(
        "div",
        {},
        element("dt", {}, name),
        element("dd", {}, outside.length ? element("small", {}, "guess") : null, format(mean), between ? element("small", {}, between) : null),
      );
    });
    const unlike = `It differs from the networks the model was fitted to: ${outside.join("; ")}.`;
    this.sheet.replaceChildren(
      outside.length ? notice(unlike, "Its figures are guesses.") : "",
      element("dl", { className: "figures large" }, ...cards),
      element("p", { className: "hint" }, "The ranges are meant to contain nine of ten such networks. "),
      ...forecasts.filter(({ note }) => note).map(({ note }) => element("p", { className: "hint" }, `${note}.`)),
      ...origin.map((text) => element("p", { className: "hint" }, `Learnt from ${text}.`)),
    );
  }
}

/** Format with two significant digits, without an exponent. */
function digits(figure) {
  return figure >= 10 ? String(Math.round(figure)) : String(Number(figure.toPrecision(2)));
}
