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
    this.items = { ready: [], timers: [], descriptors: [], threads: [] };
    this.rows = {};
    for (const [name, height] of [
      ["ready", 34],
      ["timers", 34],
      ["descriptors", 34],
      ["threads", 20],
    ]) {
      const look = (i) => ({ class: this.items[name][i].look });
      this.rows[name] = new Rows(byId(name), height, (i) => this._draw(this.items[name][i]), look);
    }
  }

  show(step, hidden) {
    const state = this.app.replay.at(step);
    const now = this.app.recording.end[step];
    this._showTurn(step, hidden);
    this._fill("ready", "Ready", hidden ? [] : this._ready(state, step), state.ready.size);
    if (hidden && state.ready.size) byId("ready").dataset.empty = "Their order is hidden while you predict.";
    this._fill("timers", "Timers", this._timers(state, now));
    this._fill("descriptors", "Descriptors", this._descriptors(state));
    this._fill("threads", "Threads", this._threads(state), `${state.atWork} at work`);
  }

  _fill(name, title, items, count = items.length) {
    byId(`${name}-title`).replaceChildren(title, " ", h("span", { class: "count" }, String(count)));
    byId(name).dataset.empty = items.length ? "" : "none";
    this.items[name] = items;
    this.rows[name].show(items.length);
  }

  _draw({ title, text, hint }) {
    return [h("span", { class: "main", title: hint ?? title }, title), h("span", { class: "sub" }, text)];
  }

  _ready(state, step) {
    const { recording, words } = this.app;
    const items = [];
    for (const [thing, event] of state.ready) {
      const fresh = event >= recording.begun[step];
      const later = event > state.mark;
      const turn = later ? "next turn" : "this turn";
      items.push({
        title: words.label(thing),
        text: [turn, words.where(recording.place[event])].filter(Boolean).join(" · "),
        hint: words.plain(words.queued(event)),
        look: `${fresh ? "fresh" : ""} ${later ? "later" : ""}`,
      });
    }
    return items;
  }

  _timers(state, now) {
    const { recording, words } = this.app;
    const { K, kind, thing, time } = recording;
    const at = time[now];
    const items = [...state.timers]
      .sort(([, a], [, b]) => a.deadline - b.deadline || a.event - b.event)
      .map(([timer, { event, deadline, cancelled }]) => {
        const set = words.where(recording.place[event]);
        const left = deadline - at;
        const when = left >= 0 ? `in ${duration(left)}` : `due for ${duration(-left)}`;
        return {
          title: words.label(timer).replace(/^timer /, ""),
          text: [cancelled ? "cancelled" : when, recording.name(recording.other[event]), set]
            .filter(Boolean)
            .join(" · "),
          hint: `${words.plain(words.event(event))}${cancelled ? "; cancelled" : ""}`,
          look: cancelled ? "struck" : "",
        };
      });
    // What the sweep of this step took away is shown once more.
    const step = recording.stepOf(now);
    for (let e = recording.from[step]; e <= recording.end[step]; e++) {
      if (kind[e] !== K.swept) continue;
      items.push({
        title: words.label(thing[e]).replace(/^timer /, ""),
        text: "cancelled, and swept out now",
        look: "struck swept",
      });
    }
    return items;
  }

  _descriptors(state) {
    const { recording, words } = this.app;
    const items = [];
    const watched = new Set();
    for (const { descriptor, mode, who, event } of state.watches.values()) {
      watched.add(descriptor);
      items.push({
        title: words.label(descriptor),
        text: `${mode === 2 ? "write" : "read"}: ${who >= 0 ? recording.name(who) : "somebody waits"}`,
        hint: words.plain(words.event(event)),
        look: "",
      });
    }
    for (const [descriptor, event] of state.served) {
      if (watched.has(descriptor)) continue;
      const whom = recording.other[event];
      const ago = duration(recording.time[recording.end[state.step]] - recording.time[event]);
      items.push({
        title: words.label(descriptor),
        text: `ready ${ago} ago${whom >= 0 ? `, for ${recording.name(whom)}` : ""}`,
        look: "quiet",
      });
    }
    return items;
  }

  _threads(state) {
    return [...state.busy].map(([thread, busy]) => ({
      title: this.app.recording.name(thread),
      text: busy ? "at work" : "idle",
      look: busy ? "" : "quiet",
    }));
  }

  // What the four phases of the turn did, from the events before its first entry ran.
  phasesOf(step) {
    const { recording } = this.app;
    const { K, kind, extra, turn, turnStart, turnEvent } = recording;
    const first = turnStart[Math.max(turnStart.length ? findTurn(recording, step) : 0, 0)];
    const facts = { asked: null, slept: null, ready: 0, due: 0, entries: 0, place: step - first + 1 };
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
