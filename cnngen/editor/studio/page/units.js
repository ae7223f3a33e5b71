// Offsets in a text: the studio counts characters, the browser counts UTF-16 units.

/** Return a function from offsets in characters to UTF-16 units. */
export function units(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (offset) => offset;
  const offsets = [0];
  for (const character of text) offsets.push(offsets.at(-1) + character.length);
  return (offset) => offsets[Math.min(offset, offsets.length - 1)];
}

/** Convert an offset in UTF-16 units to characters. */
export function characters(text, offset) {
  return [...text.slice(0, offset)].length;
}
