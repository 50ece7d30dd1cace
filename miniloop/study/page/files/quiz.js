// "Predict the next": hides what comes, asks what runs next, and says why an answer is right or not.
//
// The answer is what the recording has next. The others are entries that were there at the time, so
// each has a true reason for not being the next.

import { byId, capital, h, sentence } from "./dom.js";
import { NEW, WAITING } from "./tasks.js";
import { duration } from "./words.js";

const CHOICES = 4;

export class Quiz {
  constructor(app) {
    this.app = app;
    this.on = false;
    this.right = 0;
    this.asked = 0;
    this.answer = null;
  }

  // Whether what comes is to be hidden.
  get hides() {
    return this.on && this.answer === null;
  }

  toggle() {
    this.on = !this.on;
    this.right = this.asked = 0;
    this.answer = null;
    byId("predict").setAttribute("aria-pressed", String(this.on));
    document.documentElement.toggleAttribute("data-quiz", this.on);
  }

  ask() {
    this.answer = null;
  }

  show(step) {
    const { app } = this;
    const pane = byId("pane");
    byId("details-title").textContent = "Predict the next";
    pane.dataset.shows = "quiz";
    if (step + 1 >= app.recording.steps) {
      pane.replaceChildren(h("p", {}, "This is the last step: nothing runs after it."), this._score());
      return;
    }
    this.choices = this.choicesAt(step);
    const buttons = this.choices.map((thing, i) => {
      const next = app.recording.entry(step + 1);
      const look =
        this.answer === null ? "" : thing === next ? "right" : thing === this.answer ? "wrong" : "";
      const sign = { right: "✓ ", wrong: "✕ ", "": "" }[look];
      return h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: `choice ${look}`,
            "data-choice": thing,
            disabled: this.answer !== null,
            onclick: () => this.take(thing),
          },
          h("kbd", {}, String(i + 1)),
          ` ${sign}${this._named(thing, step)}`,
        ),
      );
    });
    pane.replaceChildren(
      h("p", { class: "question" }, "What runs next?"),
      h("ol", { class: "choices" }, ...buttons),
      ...this._verdict(step),
      this._score(),
    );
    pane.scrollTop = 0;
  }

  // A choice; of several with one name also where each comes from.
  _named(thing, step) {
    const { recording, replay, words } = this.app;
    const label = words.label(thing);
    if (this.choices.filter((other) => words.label(other) === label).length < 2) return label;
    const queued = replay.at(step).ready.get(thing);
    if (queued !== undefined) return `${label}, queued ${words.plain(words.because(queued))}`;
    const origin = recording.name(recording.things.parent[thing]);
    return origin ? `${label}, made by ${origin}` : label;
  }

  take(thing) {
    if (this.answer !== null || !this.choices?.includes(thing)) return;
    this.answer = thing;
    this.asked++;
    if (thing === this.app.recording.entry(this.app.step + 1)) this.right++;
    this.app.refresh();
    this.app.say(byId("pane").querySelector(".verdict").textContent);
    byId("quiz-next").focus();
  }

  takeNumber(number) {
    if (this.choices?.[number - 1] !== undefined) this.take(this.choices[number - 1]);
  }

  // What could be next, as somebody at this step would think: what is ready, what waits.
  choicesAt(step) {
    const { recording, replay, tasks } = this.app;
    const next = recording.entry(step + 1);
    const state = replay.at(step);
    const pool = new Set([...state.ready.keys()].slice(0, 8));
    if (recording.isTask(recording.entry(step))) pool.add(recording.entry(step));
    for (const [timer, { cancelled }] of state.timers) {
      if (pool.size >= 12) break;
      if (!cancelled) pool.add(timer);
    }
    const now = recording.end[step];
    for (const task of tasks.all) {
      if (pool.size >= 16) break;
      if ([NEW, WAITING].includes(tasks.stateAt(task, now))) pool.add(task);
    }
    pool.delete(next);
    const others = [...pool];
    const chosen = [];
    // The one behind the answer in the queue is the best of the wrong ones; the rest are spread.
    for (let i = 0; chosen.length < CHOICES - 1 && others.length; i++) {
      chosen.push(...others.splice(i === 0 ? 0 : (step * 7 + i * 3) % others.length, 1));
    }
    chosen.splice((step * 13) % (chosen.length + 1), 0, next);
    return chosen;
  }

  _verdict(step) {
    if (this.answer === null) return [];
    const { app } = this;
    const next = app.recording.entry(step + 1);
    const right = this.answer === next;
    const first = right
      ? [h("b", {}, "Right. ")]
      : [h("b", {}, "No. "), ...capital(sentence(app, this.whyNot(this.answer, step))), ". "];
    const button = h("button", { type: "button", id: "quiz-next", onclick: () => app.move(1) }, "Go on");
    return [
      h("p", { class: "verdict" }, ...first, ...capital(sentence(app, this.whyNext(step))), "."),
      button,
    ];
  }

  whyNext(step) {
    const { recording, replay, words } = this.app;
    const next = recording.entry(step + 1);
    const ready = replay.at(step).ready;
    const e = ready.get(next);
    const [head] = ready.keys();
    if (e !== undefined) {
      const place = head === next ? "was the first in the ready queue" : "was in the ready queue";
      return [{ thing: next }, ` ${place}: `, ...words.queued(e)];
    }
    const queued = recording.cause[recording.begun[step + 1]];
    const { K, kind } = recording;
    if (queued < 0) return [{ thing: next }, " came next; what queued it was not seen"];
    if (kind[queued] === K.created)
      return [{ thing: next }, " began at once, inside this step"];
    if (ready.size) return [{ thing: next }, " came in between: ", ...words.queued(queued)];
    return ["nothing was ready, so the loop looked for I/O and timers; ", ...words.queued(queued)];
  }

  whyNot(thing, step) {
    const { recording, replay, tasks, words } = this.app;
    const state = replay.at(step);
    const now = recording.end[step];
    const next = recording.entry(step + 1);
    const e = state.ready.get(thing);
    if (e !== undefined) {
      const before = state.ready.get(next);
      if (before !== undefined && before < e)
        return [{ thing }, " was ready, too, but was queued after ", { thing: next }];
      return [{ thing }, " was ready, too, but did not run before ", { thing: next }];
    }
    const timer = state.timers.get(thing);
    if (timer) {
      const left = timer.deadline - recording.time[now];
      return left > 0
        ? [{ thing }, ` is due in ${duration(left)} only`]
        : [{ thing }, " is due, but the loop looks at timers only when the turn is over"];
    }
    if (recording.isTask(thing)) {
      const position = tasks.position(thing, now);
      if (position >= 0 && tasks.states[position] === WAITING)
        return [{ thing }, " still ", ...words.state(thing, now)];
      return [{ thing }, " was not in the ready queue: ", ...words.state(thing, now)];
    }
    return [{ thing }, " was not in the ready queue"];
  }

  _score() {
    return h(
      "p",
      { class: "score" },
      this.asked ? `${this.right} of ${this.asked} right` : "Answer with 1 to 4, or step on with →.",
    );
  }
}
