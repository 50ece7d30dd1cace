// What a reader should look at first: steps that held the loop, exceptions nobody saw, and so on.
//
// Each hint says what was recorded. None guesses at what the program meant.

import { CANCELLED, WAITING } from "./tasks.js";
import { duration, many } from "./words.js";

const LONG_STEP = 100e6; // ns; as asyncio's debug mode has it
const LATE = 10e6; // ns; a timer may be late by the millisecond to which the kernel rounds

// A list of {kind, step, parts, weight}; the heaviest first.
export function findHints(recording, tasks, words) {
  const hints = [
    ...longSteps(recording),
    ...unseenExceptions(recording, words),
    ...lateTimers(recording, words),
    ...notAwaited(recording, tasks),
    ...neverYielded(recording, tasks, words),
  ];
  return hints.sort((a, b) => b.weight - a.weight || a.step - b.step);
}

function* longSteps(recording) {
  for (let step = 0; step < recording.steps; step++) {
    const took = recording.endTime(step) - recording.beginTime(step);
    if (took <= LONG_STEP) continue;
    const finish = recording.finish[step];
    const place = recording.place[recording.begun[step]];
    const until = finish >= 0 ? recording.place[finish] : -1;
    const parts = [{ thing: recording.entry(step) }, ` held the loop for ${duration(took)}`];
    if (recording.placeOf(place)) parts.push(", from ", { place });
    if (recording.placeOf(until) && until !== place) parts.push(" to ", { place: until });
    yield { kind: "held the loop", step, parts, weight: 3e9 + took };
  }
}

function* unseenExceptions(recording, words) {
  const { K, kind, thing, count } = recording;
  for (let e = 0; e < count; e++) {
    if (kind[e] === K.unseen) {
      const ended = words.tasks.ended[thing[e]];
      const step = recording.stepOf(ended >= 0 ? ended : e);
      const parts = [...words.event(e)];
      if (ended >= 0) parts.push(...words.at(recording.place[ended], ", raised at "));
      yield { kind: "exception unseen", step, parts, weight: 4e9 };
    } else if (kind[e] === K.failed && !recording.isTask(thing[e])) {
      yield { kind: "callback failed", step: recording.stepOf(e), parts: words.event(e), weight: 4e9 };
    }
  }
}

// Timers that were set at one line and held up by one step are one hint; and so are those of one
// line that no single step held up.
function* lateTimers(recording, words) {
  const { K, kind, thing, time, extra, count } = recording;
  const groups = new Map();
  for (let e = 0; e < count; e++) {
    if (kind[e] !== K["timer due"] || extra[e] < LATE) continue;
    const set = words.setBy.get(thing[e]);
    const place = set === undefined ? -1 : recording.place[set];
    const held = whatRan(recording, time[e] - extra[e], time[e]);
    const culprit = held.most > held.total / 2 ? held.step : held.steps ? "many" : "none";
    const key = `${place} ${culprit}`;
    const group = groups.get(key) ?? { place, culprit, late: 0, size: 0 };
    group.size++;
    if (extra[e] > group.late) Object.assign(group, { e, held, late: extra[e] });
    groups.set(key, group);
  }
  for (const { e, place, culprit, held, late, size } of groups.values()) {
    const parts = [{ thing: thing[e] }, ...(size > 1 ? [` and ${many(size - 1, "other")}`] : [])];
    parts.push(
      ...words.at(place, ", set at "),
      size > 1 ? ", were up to " : ", was ",
      `${duration(late)} late: `,
    );
    if (culprit === "none") parts.push("nothing ran meanwhile, so the system woke the loop late");
    else if (culprit === "many")
      parts.push(`${many(held.steps, "step")} ran first, ${duration(held.total)} in all`);
    else
      parts.push(
        { thing: recording.entry(held.step) },
        ` ran for ${duration(held.most)} of it (`,
        { step: held.step },
        ")",
      );
    yield { kind: "timer late", step: recording.stepOf(e), parts, weight: 1e9 + late };
  }
}

// What ran between a deadline and the moment at which the loop came to the timer: how many steps,
// for how long in all, and the longest of them.
function whatRan(recording, deadline, now) {
  const ran = { step: -1, most: 0, steps: 0, total: 0 };
  for (let step = firstEndingAfter(recording, deadline); step < recording.steps; step++) {
    const began = recording.beginTime(step);
    if (began >= now) break;
    const took = Math.min(recording.endTime(step), now) - Math.max(began, deadline);
    ran.steps++;
    ran.total += took;
    if (took > ran.most) Object.assign(ran, { step, most: took });
  }
  return ran;
}

function firstEndingAfter(recording, time) {
  let low = 0;
  let high = recording.steps;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (recording.endTime(middle) > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

// Tasks for which nobody ever waited, and whose end woke nobody. Tasks that come from one line are
// one hint.
function* notAwaited(recording, tasks) {
  const { K, kind, thing, other, cause, count } = recording;
  const awaited = new Set();
  for (let e = 0; e < count; e++) {
    if (kind[e] === K.suspended && other[e] >= 0) awaited.add(other[e]);
    if (kind[e] === K.queued && cause[e] >= 0 && kind[cause[e]] === K.finished) awaited.add(thing[cause[e]]);
  }
  const alone = tasks.all.filter((task) => endedByItself(tasks, task) && !awaited.has(task));
  for (const [, group] of byPlace(recording, alone)) {
    const step = recording.stepOf(tasks.ended[group[0]]);
    const parts = [
      ...named(group),
      group.length === 1 ? " ended" : " ended",
      ", and nobody was waiting for ",
      group.length === 1 ? "it" : "them",
    ];
    yield { kind: "not awaited", step, parts, weight: 2 };
  }
}

// Tasks that ran from start to end without once giving way to the others.
function* neverYielded(recording, tasks, words) {
  const { K, kind } = recording;
  const found = tasks.all.filter((task) => {
    if (!endedByItself(tasks, task)) return false;
    for (let i = tasks.first[task]; i < tasks.first[task + 1]; i++) {
      if (tasks.states[i] === WAITING && kind[tasks.events[i]] === K.suspended) return false;
    }
    const step = recording.stepOf(tasks.ended[task]);
    return recording.entry(step) === task && words.isFirst(step);
  });
  for (const [, group] of byPlace(recording, found)) {
    const step = recording.stepOf(tasks.ended[group[0]]);
    const parts = [...named(group), " never gave way: ran from start to end in one step"];
    yield { kind: "never yielded", step, parts, weight: 1 };
  }
}

// A task that another one made, and that ran to its end. Of one that was cancelled there is nothing
// to be said.
function endedByItself(tasks, task) {
  const last = tasks.states[tasks.first[task + 1] - 1];
  return tasks.ended[task] >= 0 && tasks.parent.has(task) && last !== CANCELLED;
}

function byPlace(recording, tasks) {
  const groups = new Map();
  for (const task of tasks) {
    const place = recording.things.place[task];
    if (groups.has(place)) groups.get(place).push(task);
    else groups.set(place, [task]);
  }
  return groups;
}

function named(group) {
  if (group.length === 1) return [{ thing: group[0] }];
  return [{ thing: group[0] }, ` and ${many(group.length - 1, "other task")} of the same line`];
}
