// The life of each task: its states over time, who created it, and what it waits for.
//
// The states of all lanes lie in two flat arrays, ordered by event; the lane of a task is a slice.
// So the state at any event is one binary search, however long the recording is.

import { lastAtMost } from "./recording.js";

export const NEW = 0;
export const READY = 1;
export const RUNNING = 2;
export const WAITING = 3;
export const DONE = 4;
export const FAILED = 5;
export const CANCELLED = 6;
export const STATES = ["new", "ready", "running", "waiting", "done", "failed", "cancelled"];

export class Tasks {
  constructor(recording) {
    this.recording = recording;
    this.all = []; // every task: parents before children, children in the order of their making
    this.depth = new Map();
    this.parent = new Map();
    this._collectStates();
    this._grow();
  }

  // Every change of state of each task, as (event, state) pairs.
  _collectStates() {
    const { K, kind, thing, extra, count, thingCount } = this.recording;
    const first = new Int32Array(thingCount + 1);
    const change = (e) => {
      switch (kind[e]) {
        case K.created:
          return NEW;
        case K.queued:
        case K.handed:
          return READY;
        case K.begun:
          return RUNNING;
        case K.suspended:
          return WAITING;
        case K.ended:
        case K.finished:
          return DONE + extra[e];
        default:
          return -1;
      }
    };
    // A task is over when its last step is: its `finished`, just before, matters to others.
    const hasEnded = new Uint8Array(thingCount);
    for (let e = 0; e < count; e++) if (kind[e] === K.ended) hasEnded[thing[e]] = 1;
    const counts = (e) => !(kind[e] === K.finished && hasEnded[thing[e]]) && change(e) >= 0;
    const isTask = Uint8Array.from(this.recording.things.kind, (name) => (name === "task" ? 1 : 0));
    for (let e = 0; e < count; e++) {
      if (thing[e] >= 0 && isTask[thing[e]] && counts(e)) first[thing[e] + 1]++;
    }
    for (let i = 0; i < thingCount; i++) first[i + 1] += first[i];
    const next = first.slice();
    this.first = first;
    this.events = new Int32Array(first[thingCount]);
    this.states = new Uint8Array(first[thingCount]);
    this.ended = new Int32Array(thingCount).fill(-1); // the event by which a task or future was done
    for (let e = 0; e < count; e++) {
      const what = thing[e];
      if (what < 0) continue;
      if (kind[e] === K.finished && this.ended[what] < 0) this.ended[what] = e;
      if (!isTask[what] || !counts(e)) continue;
      const done = this.ended[what];
      if (kind[e] === K.ended && done < 0) this.ended[what] = e;
      const place = next[what]++;
      this.events[place] = e;
      this.states[place] = change(e);
    }
    this.isTask = isTask;
  }

  // The tree of who created whom, read from top to bottom. A callback that creates a task is no
  // task; the task that made the callback stands for it.
  _grow() {
    const { things, thingCount } = this.recording;
    const children = new Map();
    const roots = [];
    for (let task = 0; task < thingCount; task++) {
      if (!this.isTask[task]) continue;
      let parent = things.parent[task];
      for (let hops = 0; parent >= 0 && !this.isTask[parent] && hops < 50; hops++)
        parent = things.parent[parent];
      if (parent < 0 || !this.isTask[parent]) roots.push(task);
      else if (children.has(parent)) children.get(parent).push(task);
      else children.set(parent, [task]);
      if (parent >= 0 && this.isTask[parent]) this.parent.set(task, parent);
    }
    this.children = children;
    const waiting = roots.reverse();
    while (waiting.length) {
      const task = waiting.pop();
      const parent = this.parent.get(task);
      this.all.push(task);
      this.depth.set(task, parent === undefined ? 0 : this.depth.get(parent) + 1);
      const mine = children.get(task) ?? [];
      for (let i = mine.length - 1; i >= 0; i--) waiting.push(mine[i]);
    }
  }

  // The position in `events` and `states` that holds at an event; -1 before the task was there.
  position(task, event) {
    const low = this.first[task];
    const found = lastAtMost(this.events, event, low, this.first[task + 1] - 1);
    return found < low ? -1 : found;
  }

  stateAt(task, event) {
    const position = this.position(task, event);
    return position < 0 ? -1 : this.states[position];
  }

  // What a task waits for at an event, and what that waits for, and so on: a list of
  // {thing, event, place, loop}. `event` is the suspension; `loop` says that a ring was found.
  chain(task, event) {
    const { recording } = this;
    const links = [];
    const seen = new Set();
    let now = task;
    while (now >= 0 && !seen.has(now)) {
      seen.add(now);
      const position = this.isTask[now] ? this.position(now, event) : -1;
      const at = position < 0 ? -1 : this.events[position];
      const waits = at >= 0 && this.states[position] === WAITING;
      links.push({ thing: now, event: at, place: at < 0 ? -1 : recording.place[at], ring: false });
      now = waits ? recording.other[at] : -1;
    }
    if (now >= 0) links.push({ thing: now, event: -1, place: -1, ring: true });
    return links;
  }

  // The tasks that wait, at an event, for a thing.
  waitersOf(thing, event) {
    const { recording } = this;
    this.suspensions ??= this._suspensionsByThing();
    const waiters = [];
    for (const e of this.suspensions.get(thing) ?? []) {
      const task = recording.thing[e];
      const position = e <= event ? this.position(task, event) : -1;
      if (position >= 0 && this.events[position] === e) waiters.push(task);
    }
    return waiters;
  }

  _suspensionsByThing() {
    const { K, kind, other, count } = this.recording;
    const found = new Map();
    for (let e = 0; e < count; e++) {
      if (kind[e] !== K.suspended || other[e] < 0) continue;
      if (found.has(other[e])) found.get(other[e]).push(e);
      else found.set(other[e], [e]);
    }
    return found;
  }
}
