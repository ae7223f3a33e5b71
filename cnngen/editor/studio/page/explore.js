// The explore view: cost and results of a folder of runs, and the best of them.

import { ask, Refusal } from "./api.js";
import { Chart, line } from "./chart.js";
import { choice, drawn, element, field, full, notice, percent, short } from "./dom.js";

const energy = (value) => `${Number(value.toPrecision(3))} Wh`;
const seconds = (value) => `${Number(value.toPrecision(3))} s`;

/** The figures for the axes; `better` is the preferred direction. */
const FIGURES = {
  parameters: { label: "Parameters", format: short, log: true, better: "less" },
  energy: { label: "Energy", format: energy, log: true, better: "less" },
  accuracy: { label: "Test accuracy", format: percent, log: false, better: "more" },
  seconds: { label: "Training time", format: seconds, log: true, better: "less" },
  flops: { label: "FLOPs an image", format: short, log: true, better: "less" },
  layers: { label: "Layers", format: full, log: true, better: "less" },
};
const COLUMNS = ["accuracy", "energy", "parameters", "seconds", "layers"];
const ROWS = 100;
const NEAR = 14;
/** Milliseconds between readings of a search at work. */
const FOLLOW = 10_000;

export class Explore {
  /** @param {(text: string, name: string) => void} onText a network was chosen */
  constructor(panel, folder, onText) {
    this.folder = folder;
    this.onText = onText;
    this.points = [];
    this.order = "accuracy";
    const again = { on: { change: () => this.#draw() } };
    const axes = Object.entries(FIGURES).map(([name, { label }]) => [name, label]);
    this.campaign = choice("campaign", [], { on: { change: () => this.#load() } });
    this.across = choice("across", axes, again);
    this.up = choice("up", axes, again);
    this.up.value = "accuracy";
    const filter = { on: { input: () => this.#draw() } };
    this.words = element("input", {
      type: "search",
      placeholder: "key, name, backend, status",
      ...filter,
    });
    this.least = element("input", { type: "number", min: 0, max: 100, step: "any", ...filter });
    this.most = element("input", { type: "number", min: 0, step: 1, ...filter });
    this.said = element("p", { role: "status", className: "hint" });
    this.problem = element("div");
    this.about = element("div", { className: "tip", hidden: true });
    this.frame = element("div", {
      className: "frame scatter",
      on: {
        pointermove: (event) => this.#point(event),
        pointerleave: () => this.#tell(null),
        click: (event) => this.#choose(event),
      },
    });
    this.head = element("tr");
    this.body = element("tbody");
    panel.append(
      element(
        "div",
        { className: "tools" },
        field("Runs", this.campaign),
        element("button", { type: "button", on: { click: () => this.look() } }, "Refresh"),
        field("y axis", this.up),
        field("x axis", this.across),
      ),
      element(
        "div",
        { className: "tools", role: "search", "aria-label": "Filter" },
        field("Filter", this.words),
        field("Accuracy from %", this.least),
        field("Parameters to", this.most),
      ),
      element(
        "div",
        { className: "scroller" },
        this.problem,
        this.said,
        this.frame,
        element("table", {}, element("thead", {}, this.head), this.body),
      ),
    );
    this.frame.append(this.about);
    this.chart = new Chart(this.frame, "Runs as points; the table below has the same", (axes) =>
      this.#mark(axes),
    );
  }

  /** List the folders of runs, and read one. */
  async look() {
    await this.#trying(async () => {
      const before = this.campaign.value;
      const found = await ask("campaigns", {});
      const options = found.map(({ name, runs }) => {
        const title = name === "." ? this.folder : name;
        return element("option", { value: name }, `${title} (${full(runs)})`);
      });
      this.campaign.replaceChildren(...options);
      if (found.some(({ name }) => name === before)) this.campaign.value = before;
      if (found.length) return this.#load();
      this.points = [];
      this.#draw();
      this.problem.replaceChildren(
        notice(
          `There are no runs in ${this.folder}.`,
          "`cnngen campaign` and `cnngen train` make some; `cnngen studio --folder` names another folder.",
          "info",
        ),
      );
    });
  }

  async #load() {
    await this.#trying(async () => {
      this.said.textContent = "Reading…";
      const { points, total, broken, reasons, search } = await ask("explore", {
        campaign: this.campaign.value,
      });
      this.points = points;
      const problems = [];
      clearTimeout(this.timer);
      if (search) {
        const going = search.is_running ? "It is at work; this view follows." : null;
        problems.push(notice(search.text, going, "info"));
        if (search.is_running) this.timer = setTimeout(() => this.#follow(), FOLLOW);
      }
      if (points.length < total) {
        problems.push(notice(`The first ${full(points.length)} of ${full(total)} runs.`, null, "info"));
      }
      if (broken) {
        const some = reasons.map(([name, why]) => `${name}: ${why}`).join("\n");
        problems.push(notice(`${full(broken)} runs cannot be read and are left out.`, some));
      }
      this.problem.replaceChildren(...problems);
      this.#draw();
    });
  }

  /** Read the folder again, where somebody looks. */
  #follow() {
    if (this.frame.offsetParent || this.said.offsetParent) return this.#load();
    this.timer = setTimeout(() => this.#follow(), FOLLOW);
  }

  async #trying(act) {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof Refusal)) return;
      this.said.textContent = "";
      this.problem.replaceChildren(notice(error.message, error.hint));
    }
  }

  async #open(point) {
    await this.#trying(async () => {
      const { name, text } = await ask("open", { campaign: this.campaign.value, key: point.key });
      this.onText(text, name);
    });
  }

  #draw() {
    const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = this.least.value === "" ? -1 : Number(this.least.value) / 100;
    const most = this.most.value === "" ? Infinity : Number(this.most.value);
    this.kept = this.points.filter((point) => {
      const { key, name, backend, data, protocol, status, parameters, accuracy } = point;
      const about = [key, name, backend, data, protocol, status].join(" ").toLowerCase();
      const right = words.every((word) => about.includes(word));
      return right && parameters <= most && (accuracy ?? -1) >= least;
    });
    const [x, y] = [this.across.value, this.up.value];
    const usable = (point) => [x, y].every((name) => fits(point[name], FIGURES[name]));
    this.drawn = this.kept.filter(usable);
    this.front = front(this.drawn, x, y);
    const lacking = this.kept.length - this.drawn.length;
    this.said.textContent = this.points.length
      ? `${full(this.kept.length)} of ${full(this.points.length)} runs` +
        (lacking ? `, ${full(lacking)} of them without these figures` : "") +
        `; ${full(this.front.length)} are on the front that no other betters.`
      : "";
    this.frame.hidden = !this.drawn.length;
    this.#tell(null);
    if (this.drawn.length) {
      this.chart.span(axis(FIGURES[x], this.drawn.map((point) => point[x])),
        axis(FIGURES[y], this.drawn.map((point) => point[y])));
    }
    this.#table();
  }

  #mark({ x, y, marks }) {
    const [across, up] = [this.across.value, this.up.value];
    const best = new Set(this.front);
    const dots = drawn("g", { class: "dots" });
    this.places = this.drawn.map((point) => [x(point[across]), y(point[up])]);
    for (const [index, [cx, cy]] of this.places.entries()) {
      if (!best.has(this.drawn[index])) dots.append(drawn("circle", { cx, cy, r: 3 }));
    }
    const steps = this.front.map((point) => [x(point[across]), y(point[up])]);
    marks.append(dots, drawn("path", { class: "front", d: line(stairs(steps)) }));
    for (const [cx, cy] of steps) marks.append(drawn("circle", { class: "best", cx, cy, r: 4.5 }));
    this.ring = drawn("circle", { class: "ring", r: 8, visibility: "hidden" });
    marks.append(this.ring);
  }

  #nearest(event) {
    const place = this.frame.getBoundingClientRect();
    const [px, py] = [event.clientX - place.left, event.clientY - place.top];
    let [found, least] = [null, NEAR];
    for (const [index, [x, y]] of (this.places ?? []).entries()) {
      const far = Math.hypot(x - px, y - py);
      if (far < least) [found, least] = [index, far];
    }
    return found;
  }

  #point(event) {
    this.#tell(this.#nearest(event));
  }

  #choose(event) {
    const index = this.#nearest(event);
    if (index !== null) this.#open(this.drawn[index]);
  }

  #tell(index) {
    this.about.hidden = index === null;
    this.ring?.setAttribute("visibility", index === null ? "hidden" : "visible");
    if (index === null) return;
    const point = this.drawn[index];
    const [x, y] = this.places[index];
    this.ring.setAttribute("cx", x);
    this.ring.setAttribute("cy", y);
    const figures = Object.entries(FIGURES).map(([name, { label, format }]) =>
      element("div", {}, `${label}: ${point[name] === null ? "–" : format(point[name])}`),
    );
    this.about.replaceChildren(
      element("b", {}, point.name ?? point.key.slice(0, 8)),
      element("div", {}, `${point.backend}, ${point.data}, ${point.protocol}, ${point.status}`),
      ...figures,
    );
    const { clientWidth } = this.frame;
    this.about.style.left = `${Math.min(x + 14, clientWidth - this.about.offsetWidth - 4)}px`;
    this.about.style.top = `${Math.max(0, y - this.about.offsetHeight / 2)}px`;
  }

  #table() {
    const sorting = (name) => {
      const sort = () => {
        this.order = name;
        this.#table();
        this.head.querySelector("[aria-sort] button")?.focus();
      };
      const head = element(
        "th",
        { scope: "col", className: "number" },
        element("button", { type: "button", className: "link", on: { click: sort } }, FIGURES[name].label),
      );
      if (name === this.order) {
        const falls = FIGURES[name].better === "more";
        head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      }
      return head;
    };
    this.head.replaceChildren(
      element("th", { scope: "col" }, "Network"),
      ...COLUMNS.map(sorting),
      element("th", { scope: "col" }, "Status"),
    );
    this.head.parentElement.hidden = !this.kept.length;
    const sign = FIGURES[this.order].better === "more" ? -1 : 1;
    const worth = (point) => point[this.order] ?? sign * Infinity;
    const best = new Set(this.front);
    const rows = [...this.kept]
      .sort((a, b) => sign * (worth(a) - worth(b)) || (a.key < b.key ? -1 : 1))
      .slice(0, ROWS);
    this.body.replaceChildren(...rows.map((point) => this.#row(point, best.has(point))));
    if (this.kept.length > ROWS) {
      const more = `${full(this.kept.length - ROWS)} more; filter or sort to see them.`;
      const cell = element("td", { colSpan: COLUMNS.length + 2, className: "hint" }, more);
      this.body.append(element("tr", {}, cell));
    }
  }

  #row(point, best) {
    const open = element(
      "button",
      {
        type: "button",
        className: "link",
        title: `Open ${point.key} in the editor`,
        on: { click: () => this.#open(point) },
      },
      point.name ?? point.key.slice(0, 8),
    );
    const cells = COLUMNS.map((name) =>
      element(
        "td",
        { className: "number" },
        point[name] === null ? "–" : FIGURES[name].format(point[name]),
      ),
    );
    return element(
      "tr",
      { className: best ? "front" : "" },
      element("th", { scope: "row" }, open),
      ...cells,
      element("td", {}, point.status),
    );
  }
}

function fits(value, { log }) {
  return value !== null && (!log || value > 0);
}

function axis(figure, values) {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const air = (most - least) * 0.04;
  const domain = figure.log ? [least / 1.1, most * 1.1] : [least - air, most + air];
  const format = figure.format === percent ? (share) => `${+(100 * share).toFixed(1)} %` : figure.format;
  return { ...figure, domain, format };
}

/** The Pareto front: points that no other point dominates. */
export function front(points, x, y) {
  const sign = (name) => (FIGURES[name].better === "more" ? -1 : 1);
  const worth = (point) => [sign(x) * point[x], sign(y) * point[y]];
  const sorted = points
    .map((point) => [worth(point), point])
    .sort(([a], [b]) => a[0] - b[0] || a[1] - b[1]);
  let least = Infinity;
  const kept = [];
  for (const [[, second], point] of sorted) {
    if (second >= least) continue;
    least = second;
    kept.push(point);
  }
  return kept;
}

/** Draw a front as steps between its points. */
function stairs(points) {
  return points.flatMap(([x, y], index) => (index ? [[x, points[index - 1][1]], [x, y]] : [[x, y]]));
}
