// The loop panel: the four phases of the turn, the ready queue, the timers, descriptors, threads.

import { byId, h, svg } from "./dom.js";
import { Rows } from "./rows.js";
import { duration, many } from "./words.js";

const PHASES = ["wait", "I/O", "timers", "run"];
const MIDDLE = 80;
const RADIUS = 60;

export class LoopPanel {
  constructor(app) {
    this.app = app;
    this.items = {}; // of each list the things in it, of which only those in sight are put in words
    this.rows = {};
    const lists = { ready: 34, timers: 34, descriptors: 34, threads: 20 };
    for (const [name, height] of Object.entries(lists)) {
      const draw = (i) => this._draw(this._tell(name, i));
      const look = (i) => ({ class: this._tell(name, i).look });
      this.rows[name] = new Rows(byId(name), height, draw, look);
    }
  }

  show(step, hidden) {
    const state = this.app.replay.at(step);
    this.step = step;
    this.mark = state.mark;
    this._showTurn(step, hidden);
    this._fill("ready", "Ready", hidden ? [] : [...state.ready], state.ready.size);
    if (hidden && state.ready.size) byId("ready").dataset.empty = "Their order is hidden while you predict.";
    // What the sweep of this step took away is shown once more, struck out.
    const heap = state.heap;
    this._fill("timers", "Timers", heap.concat(this._swept(step)), heap.length);
    this._fill("descriptors", "Descriptors", this._descriptors(state));
    this._fill("threads", "Threads", [...state.busy], `${state.atWork} at work`);
  }

  _fill(name, title, items, count = items.length) {
    byId(`${name}-title`).replaceChildren(
      title,
      " ",
      h("span", { class: "count" }, count.toLocaleString("en")),
    );
    byId(name).dataset.empty = items.length ? "" : "none";
    this.items[name] = items;
    this.rows[name].show(items.length);
  }

  _draw({ title, text, hint }) {
    return [h("span", { class: "main", title: hint ?? title }, title), h("span", { class: "sub" }, text)];
  }

  _tell(name, i) {
    const tell = {
      ready: this._tellReady,
      timers: this._tellTimer,
      descriptors: this._tellDescriptor,
      threads: this._tellThread,
    };
    return tell[name].call(this, this.items[name][i]);
  }

  _tellReady([thing, event]) {
    const { recording, words } = this.app;
    const later = event > this.mark;
    const why = words.where(recording.place[event]) || words.plain(words.because(event));
    return {
      title: words.label(thing),
      text: `${later ? "next turn" : "this turn"} · ${why}`,
      hint: words.plain(words.queued(event)),
      look: `${event >= recording.begun[this.step] ? "fresh" : ""} ${later ? "later" : ""}`,
    };
  }

  _tellTimer({ thing, event, deadline, cancelled, swept }) {
    const { recording, words } = this.app;
    const title = words.label(thing).replace(/^timer /, "");
    if (swept) return { title, text: "cancelled, and swept out now", look: "struck swept" };
    const left = deadline - recording.time[recording.end[this.step]];
    const due = left >= 0 ? `in ${duration(left)}` : `due for ${duration(-left)}`;
    const facts = [
      cancelled ? "cancelled" : due,
      recording.name(recording.other[event]),
      words.where(recording.place[event]),
    ];
    return {
      title,
      text: facts.filter(Boolean).join(" · "),
      hint: `${words.plain(words.event(event))}${cancelled ? "; cancelled" : ""}`,
      look: cancelled ? "struck" : "",
    };
  }

  _swept(step) {
    const { K, kind, thing, from, end } = this.app.recording;
    const swept = [];
    for (let e = from[step]; e <= end[step]; e++) {
      if (kind[e] === K.swept) swept.push({ thing: thing[e], swept: true });
    }
    return swept;
  }

  // Those on which somebody waits. A recording that does not say so has those that were ready.
  _descriptors(state) {
    const { recording, tasks } = this.app;
    if (recording.K.watched === undefined) {
      return [...state.served].reverse().map(([descriptor, ready]) => ({ descriptor, ready }));
    }
    const now = recording.end[state.step];
    // The loop keeps a socket that a future waited for; once the future is finished, nobody waits.
    const isOver = (who) =>
      recording.kindOf(who) === "future" && tasks.ended[who] >= 0 && tasks.ended[who] <= now;
    return [...state.watches.values()]
      .filter((watch) => !isOver(watch.who))
      .map((watch) => ({ ...watch, ready: state.served.get(watch.descriptor) }));
  }

  _tellDescriptor({ descriptor, mode, who, event, ready }) {
    const { recording, words } = this.app;
    const title = words.label(descriptor);
    if (event === undefined) {
      const whom = recording.name(recording.other[ready]);
      const ago = duration(recording.time[recording.end[this.step]] - recording.time[ready]);
      return { title, text: `ready ${ago} ago${whom ? `, for ${whom}` : ""}`, look: "quiet" };
    }
    const now =
      ready !== undefined && ready >= recording.from[recording.turnStart[findTurn(recording, this.step)]];
    return {
      title,
      text: `${mode === 2 ? "write" : "read"}: ${this._whoWaits(who)}`,
      hint: `${title}: ${words.plain(words.event(event))}${now ? "; ready in this turn" : ""}`,
      look: now ? "fresh" : "",
    };
  }

  // Of a future, the task that awaits it is of more interest.
  _whoWaits(who) {
    const { recording, tasks } = this.app;
    const [task] = recording.kindOf(who) === "future" ? tasks.waitersOf(who, recording.end[this.step]) : [];
    return recording.name(task ?? who) || "somebody waits";
  }

  _tellThread([thread, busy]) {
    const { recording, tasks } = this.app;
    if (recording.kindOf(thread) === "thread") {
      return { title: recording.name(thread), text: busy ? "at work" : "idle", look: busy ? "" : "quiet" };
    }
    const [task] = tasks.waitersOf(thread, recording.end[this.step]);
    return {
      title: "a call",
      text: task === undefined ? "at work" : `for ${recording.name(task)}`,
      look: "",
    };
  }

  // What the four phases of the turn did, from the events before its first entry ran.
  phasesOf(step) {
    const { recording } = this.app;
    const { K, kind, extra, turn, turnStart, turnEvent } = recording;
    const first = turnStart[Math.max(turnStart.length ? findTurn(recording, step) : 0, 0)];
    const facts = { asked: null, slept: null, ready: 0, due: 0, entries: 0, place: 0 };
    // An eager first step is no entry of the turn: it runs inside of one.
    for (let s = first; s <= step; s++) {
      const cause = recording.cause[recording.begun[s]];
      if (s === first || cause < 0 || kind[cause] !== K.created) facts.place++;
    }
    for (let e = recording.from[first]; e < recording.begun[first]; e++) {
      if (kind[e] === K.wait) facts.asked = extra[e];
      else if (kind[e] === K.woke) facts.slept = extra[e];
      else if (kind[e] === K.ready) facts.ready++;
      else if (kind[e] === K["timer due"]) facts.due++;
    }
    facts.turn = turn[step];
    facts.entries = turnEvent[step] >= 0 ? extra[turnEvent[step]] : 0;
    return facts;
  }

  _showTurn(step, hidden) {
    const facts = this.phasesOf(step);
    const ran = Math.max(facts.entries, facts.place);
    const asked =
      facts.asked === null
        ? ""
        : facts.asked < 0
          ? "without limit"
          : facts.asked === 0
            ? "without sleeping"
            : `at most ${duration(facts.asked)}`;
    const texts = [
      facts.asked === null
        ? "skipped: there was work to do"
        : facts.asked === 0
          ? "only looked, did not sleep"
          : `slept ${duration(facts.slept ?? 0)} (${asked})`,
      facts.ready
        ? `${many(facts.ready, "descriptor")} ready`
        : facts.asked === null
          ? "skipped"
          : "nothing was ready",
      facts.due ? `${many(facts.due, "timer")} due` : "none was due",
      `entry ${facts.place} of ${hidden ? "…" : ran}`,
    ];
    const acted = [facts.asked !== null && facts.asked !== 0, facts.ready > 0, facts.due > 0, true];
    byId("phases").replaceChildren(
      ...PHASES.map((name, i) =>
        h(
          "li",
          {
            class: `${acted[i] ? "acted" : ""} ${i === 3 ? "now" : ""}`,
            "aria-current": i === 3 ? "step" : null,
          },
          h("b", {}, name),
          h("span", {}, texts[i]),
        ),
      ),
    );
    this._drawRing(facts, ran, acted);
  }

  _drawRing(facts, ran, acted) {
    const parts = PHASES.map((name, i) =>
      svg("path", {
        d: arc(i * 90 + 4, i * 90 + 86),
        class: `phase ${acted[i] ? "acted" : ""} ${i === 3 ? "now" : ""}`,
      }),
    );
    // Where in the last phase we are: the entries of the turn share its quarter.
    const done = 274 + (82 * facts.place) / ran;
    parts.push(svg("path", { d: arc(274, Math.max(done, 276)), class: "progress" }));
    const [x, y] = onCircle(done, RADIUS);
    parts.push(svg("circle", { cx: x, cy: y, r: 7, class: "dot" }));
    PHASES.forEach((name, i) => {
      const [tx, ty] = onCircle(i * 90 + 45, RADIUS - 21);
      const label = svg("text", { x: tx, y: ty + 3, class: `label ${acted[i] ? "acted" : ""}` });
      label.textContent = String(i + 1);
      parts.push(label);
    });
    const turn = svg("text", { x: MIDDLE, y: MIDDLE - 4, class: "caption" });
    turn.textContent = "turn";
    const number = svg("text", { x: MIDDLE, y: MIDDLE + 14, class: "number" });
    number.textContent = facts.turn.toLocaleString("en");
    byId("ring").replaceChildren(...parts, turn, number);
  }
}

function findTurn(recording, step) {
  const { turnStart } = recording;
  let low = 0;
  let high = turnStart.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (turnStart[middle] <= step) low = middle;
    else high = middle - 1;
  }
  return low;
}

// Degrees run clockwise from the top.
function onCircle(degrees, radius) {
  const angle = ((degrees - 90) * Math.PI) / 180;
  return [MIDDLE + radius * Math.cos(angle), MIDDLE + radius * Math.sin(angle)];
}

function arc(from, to) {
  const [x1, y1] = onCircle(from, RADIUS);
  const [x2, y2] = onCircle(to, RADIUS);
  return `M ${x1} ${y1} A ${RADIUS} ${RADIUS} 0 0 1 ${x2} ${y2}`;
}
