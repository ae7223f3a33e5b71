// The diagram view: it scrolls and zooms, and each box links to its text.

import { download, element } from "./dom.js";

const LEAST = 0.1;
const MOST = 4;
/** Limits for fitting: not too small to read, not much larger than drawn. */
const FIT = [0.4, 1.25];

export class Diagram {
  /** @param {(index: number, focus: boolean) => void} onPick a box was chosen */
  constructor(panel, onPick) {
    this.onPick = onPick;
    this.zoom = null; // null fits
    this.current = 0;
    this.stale = false;
    this.shown = element("output", { className: "zoom", title: "Zoom" });
    this.note = element("p", { className: "note", hidden: true });
    this.sheet = element("div", { className: "sheet" });
    this.scroller = element(
      "div",
      {
        className: "scroller",
        tabIndex: -1,
        on: {
          keydown: (event) => this.#key(event),
          pointerdown: (event) => this.#drag(event),
          click: (event) => this.#click(event),
        },
      },
      this.sheet,
    );
    this.scroller.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    const button = (text, title, act) =>
      element("button", { type: "button", title, "aria-label": title, on: { click: act } }, text);
    panel.append(
      element(
        "div",
        { className: "tools" },
        button("−", "Zoom out", () => this.#by(1 / 1.25)),
        this.shown,
        button("+", "Zoom in", () => this.#by(1.25)),
        button("Fit", "Fit the drawing", () => this.#fit()),
        element("span", { className: "space" }),
        button("Save SVG", "Download the drawing", () => this.#save()),
      ),
      this.note,
      this.scroller,
    );
    new ResizeObserver(() => this.zoom ?? this.#size()).observe(this.scroller);
  }

  /** Show the drawing of a resolved network. */
  show(svg, name) {
    this.fresh();
    if (this.drawing && svg === this.source) return;
    this.name = name;
    this.source = svg;
    const parsed = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    this.drawing = document.importNode(parsed, true);
    this.width = Number(parsed.getAttribute("width"));
    this.height = Number(parsed.getAttribute("height"));
    this.drawing.setAttribute("role", "group");
    this.drawing.querySelector("rect").classList.add("paper");
    this.boxes = [...this.drawing.querySelectorAll("g.node")];
    for (const box of this.boxes) {
      box.setAttribute("role", "button");
      box.setAttribute("tabindex", "-1");
      box.setAttribute("aria-label", box.querySelector("title").textContent);
    }
    this.current = Math.min(this.current, this.boxes.length - 1);
    this.boxes[this.current].setAttribute("tabindex", "0");
    this.sheet.replaceChildren(this.drawing);
    this.#size();
  }

  /** Mark the drawing as up to date. */
  fresh(note = "") {
    this.stale = false;
    this.sheet.classList.remove("stale");
    this.note.hidden = !note;
    this.note.textContent = note;
  }

  /** Mark the drawing as outdated: the text has changed and is not a network now. */
  outdated() {
    this.stale = true;
    this.sheet.classList.add("stale");
    this.note.hidden = false;
    this.note.textContent = this.drawing
      ? "The last text that was a network looked like this."
      : "There is no network to draw yet.";
  }

  /** Show a reason instead of a drawing. */
  nothing(why) {
    this.drawing = undefined;
    this.sheet.replaceChildren();
    this.fresh(why);
  }

  /** Highlight the boxes of the word at the cursor. */
  mark(indices) {
    if (!this.drawing) return;
    const marked = new Set(indices);
    for (const [index, box] of this.boxes.entries()) {
      box.classList.toggle("current", marked.has(index));
    }
  }

  #size() {
    if (!this.drawing) return;
    const zoom = this.zoom ?? this.#fitting();
    this.drawing.style.width = `${Math.round(this.width * zoom)}px`;
    this.drawing.style.height = `${Math.round(this.height * zoom)}px`;
    this.shown.textContent = `${Math.round(zoom * 100)} %`;
  }

  #fitting() {
    const { clientWidth, clientHeight } = this.scroller;
    if (!clientWidth) return 1;
    const whole = Math.min((clientWidth - 4) / this.width, (clientHeight - 4) / this.height);
    return Math.min(FIT[1], Math.max(FIT[0], whole));
  }

  #fit() {
    this.zoom = null;
    this.#size();
  }

  /** Zoom around a point of the window, by default the centre of the view. */
  #by(factor, at = this.#middle()) {
    if (!this.drawing) return;
    const before = this.drawing.getBoundingClientRect();
    const share = [(at.x - before.x) / before.width, (at.y - before.y) / before.height];
    this.zoom = Math.min(MOST, Math.max(LEAST, (this.zoom ?? this.#fitting()) * factor));
    this.#size();
    const after = this.drawing.getBoundingClientRect();
    this.scroller.scrollBy(
      after.x + share[0] * after.width - at.x,
      after.y + share[1] * after.height - at.y,
    );
  }

  #middle() {
    const { x, y, width, height } = this.scroller.getBoundingClientRect();
    return { x: x + width / 2, y: y + height / 2 };
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#by(Math.exp(-event.deltaY / 400), { x: event.clientX, y: event.clientY });
  }

  /** Let a mouse drag the drawing; touch scrolls it anyway. */
  #drag(event) {
    this.dragged = false;
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    const { scrollLeft, scrollTop } = this.scroller;
    const move = (next) => {
      const [dx, dy] = [next.clientX - event.clientX, next.clientY - event.clientY];
      if (Math.hypot(dx, dy) > 4) this.dragged = true;
      if (this.dragged) this.scroller.scrollTo(scrollLeft - dx, scrollTop - dy);
    };
    const end = new AbortController();
    const { signal } = end;
    window.addEventListener("pointermove", move, { signal });
    for (const name of ["pointerup", "pointercancel"]) {
      window.addEventListener(name, () => end.abort(), { signal });
    }
  }

  #click(event) {
    const box = event.target.closest("g.node");
    if (box && !this.dragged) this.#pick(this.boxes.indexOf(box));
  }

  #pick(index) {
    this.#rove(index);
    if (!this.stale) this.onPick(index);
  }

  #rove(index) {
    this.boxes[this.current]?.setAttribute("tabindex", "-1");
    this.current = index;
    this.boxes[index].setAttribute("tabindex", "0");
  }

  #key(event) {
    if (!this.drawing || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.boxes.length - 1;
    const to = {
      ArrowDown: Math.min(last, this.current + 1),
      ArrowRight: Math.min(last, this.current + 1),
      ArrowUp: Math.max(0, this.current - 1),
      ArrowLeft: Math.max(0, this.current - 1),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      this.#rove(to);
      this.boxes[to].focus();
    } else if (event.key === "Enter" || event.key === " ") this.#pick(this.current);
    else if (event.key === "+") this.#by(1.25);
    else if (event.key === "-") this.#by(1 / 1.25);
    else if (event.key === "0") this.#fit();
    else return;
    event.preventDefault();
  }

  #save() {
    if (this.source) download(`${this.name}.svg`, this.source, "image/svg+xml");
  }
}
