// The train view: a quick training with its curves, time and energy.

import { follow, Refusal } from "./api.js";
import { Chart, line } from "./chart.js";
import { choice, download, drawn, element, field, notice, percent } from "./dom.js";

const SERIES = ["train", "validation"];

export class Train {
  /**
   * @param {{backends: object[], data: string, training_seconds: number}} start
   * @param {() => object} question builds the request for the current text
   */
  constructor(panel, start, question) {
    this.question = question;
    this.epochs = [];
    const can = start.backends.filter(({ can, framework }) => can.includes("train") && framework);
    const lacking = start.backends.filter(({ can, framework }) => can.length && !framework);
    this.go = element("button", { className: "primary" }, "Train");
    this.stop = element(
      "button",
      { type: "button", disabled: true, on: { click: () => this.cancel() } },
      "Cancel",
    );
    this.progress = element("progress", { max: 1, value: 0, hidden: true });
    this.said = element("p", { role: "status", className: "hint" });
    this.form = element(
      "form",
      {
        className: "tools",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.start();
          },
        },
      },
      field("Backend", choice("backend", can.map(({ name, framework }) => [name, framework]))),
      field(
        "Epochs",
        element("input", {
          name: "epochs",
          type: "number",
          min: 1,
          max: 1000,
          value: 10,
          required: true,
        }),
      ),
      this.go,
      this.stop,
    );
    this.go.disabled = !can.length;
    this.result = element("div", { className: "result" });
    const [loss, accuracy] = ["Loss", "Accuracy"].map((name) =>
      element("figure", {}, element("figcaption", {}, name)),
    );
    const legend = element(
      "p",
      { className: "legend" },
      ...SERIES.map((name) => element("span", { className: name }, name)),
    );
    this.curves = element("div", { className: "curves", hidden: true }, loss, accuracy, legend);
    this.loss = this.#chart(loss, "Loss by epoch", "loss");
    this.accuracy = this.#chart(accuracy, "Accuracy by epoch", "accuracy");
    panel.append(
      this.form,
      element(
        "div",
        { className: "scroller" },
        element(
          "p",
          { className: "hint" },
          `The quick protocol on ${start.data}, in a process of its own that may take `,
          `${start.training_seconds} s. Nothing is kept unless you download it.`,
        ),
        ...lacking.map(({ name, install }) =>
          notice(`${name} lacks its framework.`, `Install: ${install}`, "info"),
        ),
        this.progress,
        this.said,
        this.curves,
        this.result,
      ),
    );
  }

  async start() {
    if (this.running || !this.form.reportValidity() || this.go.disabled) return;
    const { backend, epochs } = this.form.elements;
    this.running = new AbortController();
    this.epochs = [];
    this.total = Number(epochs.value);
    this.go.disabled = true;
    this.stop.disabled = false;
    this.result.replaceChildren();
    this.curves.hidden = true;
    this.progress.hidden = false;
    this.progress.removeAttribute("value");
    this.said.textContent = "Starting the framework…";
    const question = { ...this.question(), backend: backend.value, epochs: this.total };
    try {
      for await (const event of follow("train", question, this.running.signal)) this.#take(event);
    } catch (error) {
      if (error.name === "AbortError") this.said.textContent = "Cancelled.";
      else if (error instanceof Refusal) this.#fail(error);
      else this.#fail({ message: "The studio does not answer.", hint: null });
    } finally {
      this.running = undefined;
      this.go.disabled = false;
      this.stop.disabled = true;
      this.progress.hidden = true;
    }
  }

  cancel() {
    this.running?.abort();
  }

  #take({ kind, epoch, record, fault }) {
    if (kind === "epoch") {
      this.epochs.push(epoch);
      this.progress.value = epoch.number / this.total;
      this.said.textContent =
        `Epoch ${epoch.number} of ${this.total}: validation accuracy ` +
        `${figure(epoch.validation_accuracy, percent)}, ${epoch.seconds.toFixed(2)} s`;
      this.curves.hidden = false;
      this.#draw();
    } else if (fault) this.#fail(fault);
    else this.#finish(record);
  }

  #fail({ message, hint }) {
    this.said.textContent = "";
    this.result.replaceChildren(notice(message, hint));
  }

  #finish(record) {
    this.said.textContent = record.status === "ok" ? "Trained." : "The training ended early:";
    const { energy } = record;
    const figures = {
      "Test accuracy": figure(record.test_accuracy, percent),
      "Training time": `${record.train_seconds.toFixed(2)} s`,
      Energy: energy ? `${(energy.total_energy * 1000).toPrecision(3)} Wh` : "not known",
      CO2: energy ? `${(energy.emissions * 1e6).toPrecision(3)} mg` : "not known",
      Epochs: String(record.epochs),
      Framework: record.versions.framework,
    };
    const list = Object.entries(figures).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)),
    );
    const save = () =>
      download(`${record.id}.json`, JSON.stringify(record, null, 2), "application/json");
    this.result.replaceChildren(
      record.status === "ok" ? "" : notice(`${record.status}: ${record.cause}`),
      element("dl", { className: "figures" }, ...list),
      element("p", { className: "hint" }, origin(record)),
      element("button", { type: "button", on: { click: save } }, "Download the record"),
    );
  }

  #chart(place, label, what) {
    const frame = element("div", { className: "frame" });
    place.append(frame);
    return new Chart(frame, label, ({ x, y, marks }) => {
      for (const name of SERIES) {
        const points = this.epochs.map((epoch) => [x(epoch.number), y(epoch[`${name}_${what}`] ?? NaN)]);
        marks.append(drawn("path", { class: `line ${name}`, d: line(points) }));
        for (const [cx, cy] of points) {
          if (Number.isFinite(cy)) marks.append(drawn("circle", { class: `dot ${name}`, cx, cy, r: 2.5 }));
        }
      }
    });
  }

  #draw() {
    const x = {
      label: "epoch",
      domain: [1, Math.max(2, this.total)],
      whole: true,
      format: String,
    };
    const losses = SERIES.flatMap((name) => this.epochs.map((epoch) => epoch[`${name}_loss`]));
    const most = Math.max(0, ...losses.filter(Number.isFinite));
    this.loss.span(x, { label: "", domain: [0, most * 1.05 || 1], format: String });
    this.accuracy.span(x, { label: "", domain: [0, 1], format: (share) => `${Math.round(100 * share)} %` });
  }
}

const figure = (value, format) => (value === null ? "not reached" : format(value));

/** Describe the provenance of the energy, as for records. */
function origin({ energy, energy_cause: cause }) {
  if (!energy) return `No energy: ${cause ?? "it was not measured"}.`;
  const { cpu, gpu, ram } = energy.provenance;
  const parts = Object.entries({ CPU: cpu, GPU: gpu, RAM: ram });
  const means = parts.map(([name, { method, means }]) => `${name} ${method} (${means})`);
  return `Energy by CodeCarbon: ${means.join("; ")}. CO2 for ${energy.country_name}.`;
}
