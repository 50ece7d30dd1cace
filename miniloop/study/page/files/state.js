// The state of the loop at a step: what is ready, which timers there are, who waits on descriptors.
//
// It is replayed from the recorded events, and from nothing else. Snapshots, made when the replay
// comes by, keep each jump short; the larger the state, the fewer they are, so that they do not cost
// more than what they save. The state at a step is the one at its end: what the step itself queued
// is in the queue already.

import { lastAtMost } from "./recording.js";

const EVENTS_APART = 2000; // of two snapshots, at the least

class State {
  constructor() {
    this.step = -1;
    this.ready = new Map(); // thing -> the event that queued it; in the order of the queue
    this.mark = -1; // the `turn` event: what was queued before it is to run in this turn
    this.timers = new Map(); // thing -> {thing, event, deadline, cancelled}
    this.watches = new Map(); // "descriptor:mode" -> {descriptor, mode, who, event}
    this.served = new Map(); // descriptor -> its last `ready` event
    this.busy = new Map(); // thread -> whether it is at work
    this.atWork = 0;
  }

  get size() {
    return this.ready.size + 2 * this.timers.size + this.watches.size + this.served.size + this.busy.size;
  }

  copy() {
    const copy = new State();
    copy.step = this.step;
    copy.ready = new Map(this.ready);
    copy.mark = this.mark;
    copy.timers = new Map(this.timers);
    copy.watches = new Map(this.watches);
    copy.served = new Map(this.served);
    copy.busy = new Map(this.busy);
    copy.atWork = this.atWork;
    return copy;
  }

  // The timers by their deadlines; of two with one deadline the older one is first. Sorted when it is
  // looked at: most states are only passed through.
  get heap() {
    return [...this.timers.values()].sort((a, b) => a.deadline - b.deadline || a.event - b.event);
  }
}

export class Replay {
  constructor(recording) {
    this.recording = recording;
    this.snapshots = [new State()];
    this.stepsOfSnapshots = [-1];
    this.state = new State();
  }

  // The state at the end of a step. It is the replay's own: good until the next call.
  at(step) {
    const nearest = lastAtMost(this.stepsOfSnapshots, step);
    if (this.state.step > step || this.state.step < this.stepsOfSnapshots[nearest]) {
      this.state = this.snapshots[nearest].copy();
    }
    while (this.state.step < step) this._forward();
    return this.state;
  }

  // How many entries were ready when the turn of a step began. A test compares it with what the
  // loop itself counted.
  readyAtTurn(step) {
    const { recording } = this;
    const state = this.at(step - 1).copy();
    for (let e = recording.from[step]; e < recording.turnEvent[step]; e++) this._apply(state, e);
    return state.ready.size;
  }

  _forward() {
    const { state, recording } = this;
    const step = state.step + 1;
    for (let e = recording.from[step]; e <= recording.end[step]; e++) this._apply(state, e);
    state.step = step;
    const last = this.stepsOfSnapshots.at(-1);
    if (step <= last) return;
    const apart = recording.end[step] - (last < 0 ? 0 : recording.end[last]);
    if (apart < Math.max(EVENTS_APART, 4 * state.size)) return;
    this.snapshots.push(state.copy());
    this.stepsOfSnapshots.push(step);
  }

  _apply(state, e) {
    const { K, kind, thing, other, extra } = this.recording;
    const what = thing[e];
    switch (kind[e]) {
      case K.turn:
        // What the turn before should have run, and did not, had been cancelled meanwhile.
        for (const [entry, event] of state.ready) {
          if (event > state.mark) break;
          state.ready.delete(entry);
        }
        state.mark = e;
        break;
      case K.queued:
      case K.handed:
        if (!state.ready.has(what)) state.ready.set(what, e);
        break;
      case K.begun:
        state.ready.delete(what);
        break;
      case K["timer set"]:
        state.timers.set(what, { thing: what, event: e, deadline: extra[e], cancelled: false });
        break;
      case K["timer cancelled"]:
        // In a new object: snapshots share the old one.
        if (state.timers.has(what)) state.timers.set(what, { ...state.timers.get(what), cancelled: true });
        break;
      case K["timer due"]:
      case K.swept:
        state.timers.delete(what);
        break;
      case K.watched:
        for (const mode of modes(extra[e])) {
          state.watches.set(`${what}:${mode}`, { descriptor: what, mode, who: other[e], event: e });
        }
        break;
      case K.unwatched:
        for (const mode of modes(extra[e])) state.watches.delete(`${what}:${mode}`);
        break;
      case K.ready:
        state.served.set(what, e);
        break;
      case K["thread busy"]:
      case K["thread idle"]:
        // A thread stays when it is idle; a call, of which only the future is known, does not.
        if (kind[e] === K["thread busy"]) state.busy.set(what, true);
        else if (this.recording.kindOf(what) === "thread") state.busy.set(what, false);
        else state.busy.delete(what);
        state.atWork = extra[e];
        break;
    }
  }
}

function modes(bits) {
  return bits === 3 ? [1, 2] : [bits];
}
