// What happened, in sentences.
//
// A sentence is a list of parts: plain text, {thing}, {place} or {step}. `dom.js` makes the last
// three into things that can be clicked; `plain` makes one text of it.

import { lastAtMost } from "./recording.js";
import { NEW, RUNNING, WAITING } from "./tasks.js";

export function duration(ns) {
  const units = [
    [1e9, "s"],
    [1e6, "ms"],
    [1e3, "µs"],
  ];
  for (const [size, unit] of units) {
    if (Math.abs(ns) >= size * 0.9995) {
      const value = ns / size;
      return `${Number(value.toPrecision(value >= 100 ? Math.ceil(Math.log10(value + 1)) : 3))} ${unit}`;
    }
  }
  return `${Math.round(ns)} ns`;
}

export function many(count, one, more = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : more}`;
}

export class Words {
  constructor(recording, tasks) {
    this.recording = recording;
    this.tasks = tasks;
    this.setBy = new Map(); // timer -> its `timer set` event
    this.watchedBy = new Map(); // descriptor -> its `watched` events
    const { K, kind, thing, count } = recording;
    for (let e = 0; e < count; e++) {
      if (kind[e] === K["timer set"]) this.setBy.set(thing[e], e);
      else if (kind[e] === K.watched) {
        if (this.watchedBy.has(thing[e])) this.watchedBy.get(thing[e]).push(e);
        else this.watchedBy.set(thing[e], [e]);
      }
    }
  }

  plain(parts) {
    return parts
      .map((part) => {
        if (typeof part === "string") return part;
        if ("thing" in part) return this.label(part.thing);
        if ("place" in part) return this.where(part.place);
        return `step ${this.recording.number(part.step).toLocaleString("en")}`;
      })
      .join("");
  }

  // What a thing is called in a sentence.
  label(thing) {
    const name = this.recording.name(thing);
    switch (this.recording.kindOf(thing)) {
      case "task":
        return name;
      case "handle":
        return name ? `callback ${name}` : "a callback";
      case "timer":
        return name ? `timer ${name}` : "a timer";
      case "future":
        return name && name.toLowerCase() !== "future" ? `future ${name}` : "a future";
      case "thread":
        return name.includes("thread") ? name : `thread ${name}`;
      case "signal":
        return name.startsWith("signal") ? name : `signal ${name}`;
      default:
        return name || "something unknown";
    }
  }

  // "app.py:12", or nothing if the place is not known.
  where(number) {
    const place = this.recording.placeOf(number);
    return place ? `${this.recording.files[place.file].name}:${place.line}` : "";
  }

  at(number, before = " at ") {
    return this.recording.placeOf(number) ? [before, { place: number }] : [];
  }

  // Whether a step is the first one of its task.
  isFirst(step) {
    const { tasks, recording } = this;
    const task = recording.entry(step);
    const position = tasks.position(task, recording.begun[step]);
    for (let i = tasks.first[task]; i < position; i++) if (tasks.states[i] === RUNNING) return false;
    return true;
  }

  // "rice resumes at kitchen.py:6"
  beginning(step) {
    const { recording } = this;
    const entry = recording.entry(step);
    const place = recording.place[recording.begun[step]];
    let verb = "runs";
    if (recording.isTask(entry)) verb = this.isFirst(step) ? "starts" : "resumes";
    return [{ thing: entry }, ` ${verb}`, ...this.at(place)];
  }

  // How a step ended: "then it waits for future sleep at kitchen.py:6"
  outcome(step) {
    const { recording } = this;
    const { K } = recording;
    const e = recording.finish[step];
    if (e < 0) return ["the recording does not have its end"];
    if (recording.kind[e] === K.suspended) {
      const on = recording.other[e];
      if (on < 0) return ["then it gives way to the others", ...this.at(recording.place[e])];
      return ["then it waits for ", { thing: on }, ...this.at(recording.place[e])];
    }
    switch (recording.extra[e]) {
      case 1:
        return ["then it fails", ...this.exception(recording.entry(step)), ...this.at(recording.place[e])];
      case 2:
        return ["then it ends, cancelled", ...this.at(recording.place[e])];
      default:
        return [recording.isTask(recording.entry(step)) ? "then it returns" : "then it is done"];
    }
  }

  // " (ValueError: too hot)", where the recording has it.
  exception(thing) {
    const { recording } = this;
    const { K, kind, thing: about, extra, count } = recording;
    this.failures ??= new Map();
    if (!this.failures.size) {
      this.failures.set(-1, "");
      for (let e = 0; e < count; e++) {
        if (kind[e] === K.failed || kind[e] === K.unseen)
          this.failures.set(about[e], recording.strings[extra[e]]);
      }
    }
    const text = this.failures.get(thing);
    return text ? [` (${text})`] : [];
  }

  // Why a step ran, after its beginning: ", queued by main at kitchen.py:16".
  reason(step) {
    const { recording } = this;
    const queued = recording.cause[recording.begun[step]];
    if (queued < 0) return [`; what queued it was not ${recording.about.dropped ? "kept" : "seen"}`];
    if (this.recording.kind[queued] === this.recording.K.created) return [", ", ...this.because(queued)];
    const parts = this.because(queued);
    return [parts[0].startsWith("as ") ? ", " : ", queued ", ...parts];
  }

  // One event as a sentence without its full stop. "it" is the entry that the event is about.
  event(e) {
    const { recording } = this;
    const { K, kind, thing, other, place, cause, extra } = recording;
    const by = other[e] >= 0 && other[e] !== thing[e] ? [" by ", { thing: other[e] }] : [];
    const at = this.at(place[e]);
    const what = { thing: thing[e] };
    const atWork = ` (${extra[e]} at work)`;
    switch (kind[e]) {
      case K.turn:
        return [`a turn began, with ${many(extra[e], "entry", "entries")} to run`];
      case K.begun:
        return [what, " began", ...at];
      case K.suspended:
        return other[e] < 0
          ? [what, " gave way to the others", ...at]
          : [what, " waits for ", { thing: other[e] }, ...at];
      case K.ended:
        if (extra[e] > 0) return [what, [" failed", " was cancelled"][extra[e] - 1] ?? " ended", ...at];
        return [what, recording.isTask(thing[e]) ? " returned" : " was done"];
      case K.queued:
        return this.queued(e);
      case K["timer set"]: {
        const delay = extra[e] - recording.time[e];
        const how = delay <= 0 ? "for at once" : `for ${duration(delay)} later`;
        return [what, ` was set ${how}`, ...by, ...at];
      }
      case K["timer due"]: {
        const set = this.setBy.get(thing[e]);
        const parts = [what, ` was due, and came ${duration(Math.max(extra[e], 0))} after its time`];
        if (set === undefined) return parts;
        const setter = other[set] >= 0 ? [" by ", { thing: other[set] }] : [];
        return [...parts, "; it had been set", ...setter, ...this.at(place[set])];
      }
      case K["timer cancelled"]:
        return [what, " was cancelled", ...by, ...at];
      case K.swept:
        return [what, ", cancelled before, left the heap"];
      case K.wait:
        if (extra[e] < 0) return ["the loop went to sleep until something happens"];
        if (extra[e] === 0) return ["the loop asked for I/O without sleeping"];
        return [`the loop went to sleep for at most ${duration(extra[e])}`];
      case K.woke:
        return [`the loop woke after ${duration(extra[e])}`];
      case K.ready: {
        const how = { 1: "readable", 2: "writable", 3: "readable and writable" }[extra[e]] ?? "ready";
        const whom = other[e] >= 0 ? [", for ", { thing: other[e] }] : [];
        return [what, ` was ${how}`, ...whom, ...this.since(e)];
      }
      case K.finished: {
        const how = ["finished", "finished with an exception", "cancelled"][extra[e]] ?? "finished";
        return [what, ` was ${how}`, ...by, ...at];
      }
      case K.cancel:
        return ["the cancellation of ", what, " was requested", ...by, ...at];
      case K.handed: {
        const from = other[e] >= 0 ? [" from ", { thing: other[e] }] : [];
        return [what, " was handed over", ...from, ...at, ...this._whoAsked(cause[e])];
      }
      case K["thread busy"]:
        return [
          ...this._workOf(e),
          recording.kindOf(thing[e]) === "thread" ? " went to work" : " went to a thread",
          ...at,
          atWork,
        ];
      case K["thread idle"]:
        return [...this._workOf(e), " was done", atWork];
      case K.created:
        return [what, " was created", ...by, ...at];
      case K.failed:
        return [what, ` failed: ${recording.strings[extra[e]]}`];
      case K.signal:
        return [what, " came"];
      case K.watched:
        return [
          ...who(other[e]),
          " waits until ",
          what,
          ` is ${extra[e] === 2 ? "writable" : "readable"}`,
          ...at,
        ];
      case K.unwatched:
        return [
          "nobody waits any more until ",
          what,
          ` is ${extra[e] === 2 ? "writable" : "readable"}`,
          ...at,
        ];
      case K.unseen:
        return ["nobody asked for the exception of ", what, `: ${recording.strings[extra[e]]}`];
      default:
        return [
          recording.kinds[kind[e]],
          ...(thing[e] >= 0 ? [": ", what] : []),
          ...by,
          ...at,
          cause[e] < 0 ? "" : "",
        ];
    }
  }

  queued(e) {
    const parts = this.because(e);
    return [
      { thing: this.recording.thing[e] },
      ` was queued${parts[0].startsWith("as ") ? "," : ""} `,
      ...parts,
    ];
  }

  // A recording names the thread that is at work, or the future of the call that a thread has.
  _workOf(e) {
    const { recording, tasks } = this;
    const what = recording.thing[e];
    if (recording.kindOf(what) === "thread") return [{ thing: what }];
    const caller = recording.other[e] >= 0 ? recording.other[e] : tasks.waitersOf(what, e)[0];
    return caller === undefined ? ["a call"] : ["a call of ", { thing: caller }];
  }

  // Who gave a call to a thread, where the recording has it.
  _whoAsked(busy) {
    const { recording } = this;
    if (busy < 0 || recording.other[busy] < 0) return [];
    return [
      "; ",
      { thing: recording.other[busy] },
      " had given the call to a thread",
      ...this.at(recording.place[busy]),
    ];
  }

  // Since which line somebody waits on a descriptor that is ready.
  since(ready) {
    const { recording } = this;
    const watched = this.watchedBy.get(recording.thing[ready]) ?? [];
    const last = watched[lastAtMost(watched, ready)];
    return last === undefined ? [] : this.at(recording.place[last], "; it is watched since ");
  }

  // What put an entry into the ready queue: "by main at app.py:3", "as future x was finished".
  because(e) {
    const { recording } = this;
    const { K, kind, thing, other, place, cause } = recording;
    const c = cause[e];
    if (kind[e] === K.created) {
      const maker = other[e] >= 0 ? [{ thing: other[e] }, " created it"] : ["it was created"];
      return ["at once, when ", ...maker, ...this.at(place[e])];
    }
    if (c >= 0 && kind[c] === K.finished) {
      const waited = thing[c];
      const isSame = waited === thing[e];
      const how = ["was finished", "failed", "was cancelled"][recording.extra[c]] ?? "was finished";
      const by = other[c] >= 0 && other[c] !== waited ? [" by ", { thing: other[c] }] : [];
      const verb = recording.isTask(waited) ? ["ended", "failed", "was cancelled"][recording.extra[c]] : how;
      return ["as ", isSame ? "it" : { thing: waited }, ` ${verb}`, ...by, ...this.at(place[c])];
    }
    if (c >= 0 && kind[c] === K["timer due"]) return ["as its time had come"];
    if (c >= 0 && kind[c] === K.ready) return ["as ", { thing: thing[c] }, " was ready"];
    if (c >= 0 && kind[c] === K.signal) return ["as ", { thing: thing[c] }, " came"];
    if (other[e] === thing[e] && recording.isTask(thing[e])) {
      return ["by itself, when it gave way", ...this.at(place[e])];
    }
    if (c >= 0 && kind[c] === K.handed && recording.other[c] >= 0) {
      return ["by ", { thing: recording.other[c] }, ...this.at(place[e])];
    }
    if (other[e] >= 0) return ["by ", { thing: other[e] }, ...this.at(place[e])];
    return recording.placeOf(place[e]) ? this.at(place[e], "at ") : ["by the loop itself"];
  }

  // The state of a task in a few words: "waits for future sleep".
  state(task, event) {
    const { tasks, recording } = this;
    const position = tasks.position(task, event);
    if (position < 0) return ["not created yet"];
    const at = tasks.events[position];
    switch (tasks.states[position]) {
      case NEW:
        return ["created"];
      case WAITING:
        return recording.other[at] < 0
          ? ["gave way"]
          : ["waits for ", { thing: recording.other[at] }, ...this.at(recording.place[at])];
      default:
        return [
          ["created", "ready to run", "running", "waiting", "returned", "failed", "cancelled"][
            tasks.states[position]
          ],
        ];
    }
  }
}

function who(thing) {
  return thing >= 0 ? [{ thing }] : ["somebody"];
}
