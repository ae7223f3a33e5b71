// SVG charts: axes and grid from d3's scales, marks from the caller.

import { scaleLinear, scaleLog } from "./libraries.js";
import { drawn } from "./dom.js";

const MARGIN = { top: 10, right: 24, bottom: 38, left: 64 };

/** A chart that fills its container, and is redrawn when that is resized. */
export class Chart {
  /** @param {(axes: {x: Function, y: Function, marks: SVGElement}) => void} draw adds marks */
  constructor(place, label, draw) {
    this.draw = draw;
    this.svg = drawn("svg", { class: "chart", role: "img", "aria-label": label });
    place.append(this.svg);
    new ResizeObserver(() => this.update()).observe(place);
  }

  /**
   * Set the axes: `{label, domain, log, format}` each. Nothing is drawn without both.
   */
  span(x, y) {
    this.x = x;
    this.y = y;
    this.update();
  }

  update() {
    const { width, height } = this.svg.parentElement.getBoundingClientRect();
    if (!this.x || !this.y || width < 80 || height < 60) return this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    const right = width - MARGIN.right;
    const bottom = height - MARGIN.bottom;
    const x = scale(this.x, [MARGIN.left, right]);
    const y = scale(this.y, [bottom, MARGIN.top]);
    const grid = drawn("g", { class: "grid" });
    const texts = drawn("g", { class: "ticks" });
    for (const tick of ticks(this.x, x, (right - MARGIN.left) / 80)) {
      const place = x(tick);
      grid.append(drawn("line", { x1: place, x2: place, y1: MARGIN.top, y2: bottom }));
      texts.append(
        drawn("text", { x: place, y: bottom + 16, "text-anchor": "middle" }, this.x.format(tick)),
      );
    }
    for (const tick of ticks(this.y, y, (bottom - MARGIN.top) / 40)) {
      const place = y(tick);
      grid.append(drawn("line", { x1: MARGIN.left, x2: right, y1: place, y2: place }));
      texts.append(
        drawn(
          "text",
          { x: MARGIN.left - 8, y: place + 4, "text-anchor": "end" },
          this.y.format(tick),
        ),
      );
    }
    const middle = (MARGIN.left + right) / 2;
    texts.append(
      drawn(
        "text",
        { x: middle, y: height - 6, "text-anchor": "middle", class: "label" },
        this.x.label,
      ),
      drawn(
        "text",
        {
          transform: `translate(12 ${(MARGIN.top + bottom) / 2}) rotate(-90)`,
          "text-anchor": "middle",
          class: "label",
        },
        this.y.label,
      ),
    );
    const marks = drawn("g", { class: "marks" });
    this.svg.replaceChildren(grid, texts, marks);
    this.draw({ x, y, marks, right, bottom });
  }
}

/** Convert points to a path, with a gap where a value is missing. */
export function line(points) {
  let pen = "M";
  let path = "";
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) pen = "M";
    else {
      path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    }
  }
  return path;
}

function scale({ domain, log }, range) {
  const [least, most] = domain;
  if (log) {
    const wide = most / least > 1.2 ? domain : [least / 1.5, most * 1.5];
    return scaleLog(wide, range);
  }
  const wide = most > least ? domain : [least - Math.abs(least || 1) / 10, most + Math.abs(most || 1) / 10];
  return scaleLinear(wide, range);
}

function ticks({ log, whole }, axis, about) {
  const count = Math.max(2, Math.floor(about));
  const all = axis.ticks(count);
  if (whole) return all.filter(Number.isInteger);
  if (!log || all.length <= count) return all;
  // Of the many logarithmic ticks, keep powers of ten, and 2 and 5 if there is room.
  for (const kept of [[1, 2, 5], [1, 5], [1]]) {
    const some = all.filter((tick) => kept.includes(leading(tick)));
    if (some.length <= count || kept.length === 1) return some.length ? some : all;
  }
  return all;
}

const leading = (tick) => Math.round(tick / 10 ** Math.floor(Math.log10(tick) + 1e-9));
