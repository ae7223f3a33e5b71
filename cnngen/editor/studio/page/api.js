// Requests to the studio. All go to the address that the page came from.

/** An error from the studio: `message`, `hint`, and a range in the text if there is one. */
export class Refusal extends Error {
  constructor({ message, hint = null, start = null, end = null }) {
    super(message);
    Object.assign(this, { hint, start, end });
  }
}

let onLost = () => {};
let onFound = () => {};

/** Set the handlers for when the studio stops responding, and responds again. */
export function watch(lost, found) {
  onLost = lost;
  onFound = found;
}

/** Send a request and return the response. Throws `Refusal`, or fetch's error if there is none. */
export async function ask(name, question, signal = undefined) {
  const { answer, fault } = await (await send(name, question, signal)).json();
  if (fault) throw new Refusal(fault);
  return answer;
}

/** Send a request and yield the events of the response as they come. */
export async function* follow(name, question, signal) {
  const answer = await send(name, question, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) {
      if (rest) yield JSON.parse(rest);
      return;
    }
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function send(name, question, signal) {
  const how =
    question === undefined
      ? { signal }
      : {
          signal,
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify(question),
        };
  let answer;
  try {
    answer = await fetch(`api/${name}`, how);
  } catch (error) {
    if (error.name !== "AbortError") onLost();
    throw error;
  }
  if (answer.status === 403) onLost();
  else onFound();
  if (!answer.ok) throw new Refusal(await reason(answer));
  return answer;
}

async function reason(answer) {
  const text = await answer.text();
  try {
    return JSON.parse(text).fault;
  } catch {
    return { message: text.trim() || `the studio answered ${answer.status}` };
  }
}
