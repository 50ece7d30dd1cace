// Why a step ran: the chain of causes, walked back to where it came into the loop from outside.
//
// Each event names the one that caused it. A chain ends at a ready descriptor, a due timer, a
// thread, a signal, or the start of the program.

// A list of {event, parts, place, step, root}, from the step itself to the root. Of a chain with
// more than `most` links, the first and the last are given, and how many are left out.
export function chainOfCauses(recording, words, step, most = 60) {
  const { K, kind, cause } = recording;
  const roots = new Set(["ready", "timer due", "handed", "signal"].map((name) => K[name]));
  const events = [];
  for (let e = recording.begun[step]; e >= 0; e = cause[e]) {
    // A queued entry and the finished future that it waited for are one sentence.
    const merged = kind[e] === K.finished && events.length && kind[events.at(-1)] === K.queued;
    if (!merged) events.push(e);
    if (roots.has(kind[e])) break;
  }
  const shown = events.length > most ? [...events.slice(0, most - 1), events.at(-1)] : events;
  const links = shown.map((e) => linkAt(recording, words, e, e === events.at(-1) && roots.has(kind[e])));
  const last = events.at(-1);
  if (!roots.has(kind[last])) links.push(startOf(recording, last));
  return { links, leftOut: events.length - shown.length };
}

function linkAt(recording, words, e, root) {
  const step = recording.stepOf(e);
  const isBegin = recording.kind[e] === recording.K.begun;
  const parts = isBegin ? [...words.beginning(step), " (", { step }, ")"] : words.event(e);
  const place = parts.findLast((part) => part.place !== undefined)?.place ?? -1;
  return { event: e, parts, place, step, root };
}

// What is to be said where a chain ends that nothing from outside began.
function startOf(recording, last) {
  const { K, kind, place, other } = recording;
  let text = "that was the start: no event of the loop came before";
  if (recording.about.dropped > 0) text = "what came before was not kept";
  else if (kind[last] === K.begun) text = "why it was queued was not recorded";
  else if (place[last] < 0 && other[last] < 0) text = "that was so when the recording began";
  return { event: last, parts: [text], place: -1, step: recording.stepOf(last), root: true };
}
