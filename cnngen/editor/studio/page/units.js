// Places in a text: the studio counts characters, the browser counts UTF-16 units.

/** A function from characters to UTF-16 units of a text. */
export function units(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  const places = [0];
  for (const character of text) places.push(places.at(-1) + character.length);
  return (place) => places[Math.min(place, places.length - 1)];
}

/** How many characters a text has before a place in UTF-16 units. */
export function characters(text, place) {
  return [...text.slice(0, place)].length;
}
