// A recording, unpacked into typed arrays, and cut into steps.
//
// A step is one run of an entry: from its `begun` to its `suspended` or `ended`. What lies between
// two steps (the wait, ready descriptors, due timers) led to the second one, and belongs to it.
// Inside this page steps count from 0; `number` and `index` translate to what people see.
//
// An eager task runs its first step inside the step of another entry. Both are steps; so `finish`
// is found by its cause, and not by its place in the order.

// What `packed` in writing.py packed: JSON in which times are differences, and causes distances.
export async function unpack(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

export class Recording {
  constructor(model) {
    if (model.format !== 1) throw new Error(`this page cannot read format ${model.format}`);
    this.about = model;
    this.files = model.files;
    this.places = model.places;
    this.strings = model.strings;
    this.kinds = model.kinds;
    this.K = Object.fromEntries(model.kinds.map((name, number) => [name, number]));

    const events = model.events;
    this.count = events.kind.length;
    this.kind = Uint8Array.from(events.kind);
    let time = 0;
    this.time = Float64Array.from(events.time, (passed) => (time += passed));
    this.thing = Int32Array.from(events.thing);
    this.other = Int32Array.from(events.other);
    this.place = Int32Array.from(events.place);
    this.cause = Int32Array.from(events.cause, (back, e) => (back < 0 ? -1 : e - back));
    this.extra = Float64Array.from(events.extra);
    model.events = null; // the arrays hold it now

    this.things = model.things;
    this.thingCount = model.things.kind.length;
    this._cutIntoSteps();
  }

  _cutIntoSteps() {
    const { kind, cause, K, count } = this;
    const begun = K.begun;
    let steps = 0;
    for (let e = 0; e < count; e++) if (kind[e] === begun) steps++;
    this.steps = steps;
    this.begun = new Int32Array(steps); // the `begun` event of each step
    this.from = new Int32Array(steps); // the first event that belongs to it
    this.end = new Int32Array(steps); // the last one
    this.finish = new Int32Array(steps).fill(-1); // its `suspended` or `ended`
    this.turn = new Int32Array(steps); // counted from 1
    this.turnEvent = new Int32Array(steps).fill(-1);
    this.turnStart = []; // the first step of each turn

    const between = new Set(["turn", "wait", "woke", "ready", "timer due", "begun"].map((name) => K[name]));
    const stepOfBegun = new Map();
    let step = -1;
    let open = true; // the events are those of the step that runs, not yet of the next one
    let start = 0;
    let turn = 0;
    let turnEvent = -1;
    for (let e = 0; e < count; e++) {
      const what = kind[e];
      if (open && between.has(what)) {
        if (step >= 0) this.end[step] = e - 1;
        if (step >= 0 || what === begun) start = step < 0 ? 0 : e;
        open = false;
      }
      if (what === K.turn) {
        turn++;
        turnEvent = e;
      } else if (what === begun) {
        step++;
        this.begun[step] = e;
        this.from[step] = step === 0 ? 0 : start;
        this.turn[step] = turn;
        this.turnEvent[step] = turnEvent;
        if (step === 0 || this.turn[step - 1] !== turn) this.turnStart.push(step);
        stepOfBegun.set(e, step);
        open = true;
      } else if (what === K.suspended || what === K.ended) {
        const mine = stepOfBegun.get(cause[e]);
        if (mine !== undefined) this.finish[mine] = e;
      }
    }
    if (step >= 0) this.end[step] = count - 1;
    this.turns = turn;
  }

  // Numbers that people see: the first step of the whole run is 1, also if it is not in this file.
  number(step) {
    return this.about.dropped + step + 1;
  }

  index(number) {
    return Math.min(Math.max(number - this.about.dropped - 1, 0), this.steps - 1);
  }

  // The step to which an event belongs.
  stepOf(event) {
    return Math.max(lastAtMost(this.from, event), 0);
  }

  // The entry that runs in a step.
  entry(step) {
    return this.thing[this.begun[step]];
  }

  beginTime(step) {
    return this.time[this.begun[step]];
  }

  // When the step was over; a step that was cut off ends with its last event.
  endTime(step) {
    const finish = this.finish[step];
    return this.time[finish >= 0 ? finish : this.end[step]];
  }

  name(thing) {
    if (thing < 0) return "";
    const name = this.strings[this.things.name[thing]];
    // An address as people write it: 127.0.0.1:80, and not ('127.0.0.1', 80).
    return this.things.kind[thing] === "descriptor"
      ? name.replace(/\('([^']*)', (\d+)[^)]*\)/g, "$1:$2")
      : name;
  }

  kindOf(thing) {
    return thing < 0 ? "" : this.things.kind[thing];
  }

  isTask(thing) {
    return thing >= 0 && this.things.kind[thing] === "task";
  }

  // {file, line, function}, or null where the line is not known.
  placeOf(number) {
    if (number < 0) return null;
    const [file, line, name] = this.places[number];
    return file < 0 ? null : { file, line, function: name };
  }
}

// The position of the last value that is at most `limit` in a sorted array; -1 if there is none.
export function lastAtMost(sorted, limit, low = 0, high = sorted.length - 1) {
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= limit) low = middle + 1;
    else high = middle - 1;
  }
  return high;
}
