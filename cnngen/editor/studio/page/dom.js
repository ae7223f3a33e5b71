// Creates elements of the page. Text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

// Bidirectional marks, control characters and lone surrogates.
const HIDDEN = /[\p{Cf}\p{Co}\p{Cs}\u2028\u2029]|[^\P{Cc}\n\t]/gu;

/** A child of an element; a text without its invisible characters. */
const seen = (child) => (typeof child === "string" ? child.replace(HIDDEN, " ") : child);

/** An element with properties, attributes and children; `on` maps events to listeners. */
export function element(tag, { on = {}, data = {}, ...given } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  Object.assign(made.dataset, data);
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  made.append(...children.filter((child) => child !== null && child !== undefined).map(seen));
  return made;
}

/** An SVG element with attributes and children. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.map(seen));
  return made;
}

/** A form field with its label. */
export function field(name, control) {
  return element("label", {}, `${name} `, control);
}

/** A select element with [value, name] pairs. */
export function choice(name, pairs, given = {}) {
  const options = pairs.map(([value, text]) => element("option", { value }, text));
  return element("select", { name, ...given }, ...options);
}

/** A message with its hint, as on the command line. */
export function notice(message, hint = null, kind = "bad") {
  return element(
    "div",
    { className: `notice ${kind}`, role: kind === "bad" ? "alert" : "note" },
    element("p", {}, message),
    hint ? element("p", { className: "hint" }, hint) : null,
  );
}

/** Download a text as a file. */
export function download(name, text, type = "text/plain") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Format a count with three digits: 950, 12.3 k, 4.56 M. */
export function short(count) {
  if (count < 1000) return String(count);
  const units = ["k", "M", "G", "T", "P", "E"];
  for (const [power, unit] of units.entries()) {
    const value = count / 1000 ** (power + 1);
    if (value < 999.5) return `${Number(value.toPrecision(3))} ${unit}`;
  }
  return count.toExponential(2);
}

/** Format a count in full, with thousands separators. */
export const full = (count) => count.toLocaleString("en");

/** Format a share as a percentage. */
export const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Format a shape as 3×3. */
export const times = (shape) => shape.replaceAll("x", "×");
