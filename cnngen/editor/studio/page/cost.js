// The cost view: the counted cost of each layer.

import { element, full, short, times } from "./dom.js";

export class Cost {
  /** @param {(index: number) => void} onPick a layer was chosen */
  constructor(panel, onPick) {
    this.onPick = onPick;
    this.summary = element("dl", { className: "figures" });
    this.body = element("tbody");
    this.sheet = element(
      "div",
      { className: "scroller", tabIndex: 0, role: "region", "aria-label": "Cost of each layer" },
      this.summary,
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            ...["Layer", "Operation", "Output"].map((name) => column(name)),
            ...["Parameters", "FLOPs", "Activations"].map((name) => column(name, "number")),
          ),
        ),
        this.body,
      ),
    );
    panel.append(this.sheet);
  }

  show(network, layers) {
    this.sheet.classList.remove("stale");
    const figures = {
      Layers: full(network.layers),
      Parameters: full(network.parameters),
      "FLOPs an image": full(network.flops),
      "Activations an image": full(network.activations),
      Input: times(network.input),
      Output: times(network.output),
      Id: network.id,
    };
    this.summary.replaceChildren(
      ...Object.entries(figures).map(([name, value]) =>
        element("div", {}, element("dt", {}, name), element("dd", {}, value)),
      ),
    );
    const most = (name) => Math.max(1, ...layers.map((layer) => layer[name]));
    const tops = { parameters: most("parameters"), flops: most("flops") };
    tops.activations = most("activations");
    this.body.replaceChildren(...layers.map((layer, index) => this.#row(layer, index, tops)));
  }

  outdated() {
    this.sheet.classList.add("stale");
  }

  #row(layer, index, tops) {
    const name = element(
      "button",
      { type: "button", className: "link", on: { click: () => this.onPick(index) } },
      layer.name,
    );
    const about = layer.detail ? `${layer.kind}, ${layer.detail}` : layer.kind;
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      element("td", {}, about.replace(/(\d)x(?=\d)/g, "$1×")),
      element("td", {}, times(layer.shape)),
      ...["parameters", "flops", "activations"].map((what) => bar(layer[what], tops[what])),
    );
  }
}

function column(name, className = "") {
  return element("th", { scope: "col", className }, name);
}

/** A cell with a count, and a bar relative to the largest in its column. */
function bar(count, most) {
  const cell = element("td", { className: "number share", title: full(count) }, short(count));
  cell.style.setProperty("--share", `${(100 * count) / most}%`);
  return cell;
}
