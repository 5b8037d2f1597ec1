/* The guide of a first visit. Rule: the server says what was done, from what really happened; here nothing is ticked. */

import { button, firstName, section, watched, write } from "/beside/parts.js";
import { freshId, make } from "/files/make.js";

const CLOSED = "beside.guide"; // in the browser's memory: whether the guide was put away

export class Guide {
    #context;
    #show;
    #chapters = make("div", { class: "bs-chapters" });
    #count = make("span", { class: "bs-count" });
    #open = null; // the step that is unfolded; null: the next one
    #unfolded = new Map(); // title of a chapter: whether somebody unfolded or folded it
    #done = null;
    #last = null;

    /** `show(name)` jumps to a part of the panel. */
    constructor(context, show) {
        this.#context = context;
        this.#show = show;
        const away = button("Put away", () => this.#put(true), "bs-plain");
        Object.assign(this, section("guide", "What to try", make("div", { class: "bs-over" }, this.#count, away), this.#chapters));
        this.opener = button("Guide", () => this.#put(false), "bs-plain");
        this.#put(recall(), true);
        context.onPersona(() => this.#last && this.#render(this.#last));
    }

    #put(away, first = false) {
        this.node.hidden = away;
        this.opener.hidden = !away;
        remember(away);
        if (!first) (away ? this.opener : this.heading).focus();
    }

    draw(state) {
        this.#drawGuide({ guide: state.guide, you: state.you });
    }

    #drawGuide = watched(({ guide }) => this.#render(guide));

    #render(guide) {
        this.#last = guide;
        const steps = guide.flatMap((chapter) => chapter.steps);
        const done = steps.filter((step) => step.done);
        this.#announce(done);
        write(this.#count, `${done.length} of ${steps.length} done`);
        const next = this.#open ?? steps.find((step) => !step.done)?.id;
        const focused = this.#chapters.contains(document.activeElement) ? document.activeElement.dataset.key : null;
        this.#chapters.replaceChildren(...guide.map((chapter) => this.#chapter(chapter, next)));
        if (focused) this.#chapters.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }

    #announce(done) {
        const ids = new Set(done.map((step) => step.id));
        const fresh = this.#done && done.find((step) => !this.#done.has(step.id));
        if (fresh) {
            this.#context.say(`Done: ${fresh.title}`);
            if (this.#open === fresh.id) this.#open = null; // on to the next
        }
        this.#done = ids;
    }

    /** A chapter is unfolded while its next step is the next one at all, or when somebody says so. */
    #chapter({ title, steps }, next) {
        const open = this.#unfolded.get(title) ?? steps.some((step) => step.id === next);
        const list = make("ol", { class: "bs-steps", id: freshId("bs-chapter"), hidden: !open }, ...steps.map((step) => this.#step(step, step.id === next)));
        const done = steps.filter((step) => step.done).length;
        const fold = make(
            "button",
            { type: "button", class: "bs-fold", "aria-expanded": String(open), "aria-controls": list.id, "data-key": title },
            make("span", {}, title),
            make("span", { class: "bs-quiet" }, `${done}/${steps.length}`, make("span", { class: "unseen" }, " done")),
        );
        fold.addEventListener("click", () => {
            this.#unfolded.set(title, !open);
            this.#render(this.#last);
        });
        return make("div", { class: "bs-chapter" }, make("h4", {}, fold), list);
    }

    #step(step, open) {
        const body = make("div", { class: "bs-step-body", id: freshId("bs-step"), hidden: !open });
        const who = step.who ? this.#context.person(step.who) : null;
        const mark = make("span", { class: step.done ? "bs-tick bs-done" : "bs-tick", "aria-hidden": "true" });
        const title = make(
            "button",
            { type: "button", class: "bs-step-title", "aria-expanded": String(open), "aria-controls": body.id, "data-key": step.id },
            mark,
            make("span", {}, step.title),
            make("span", { class: "unseen" }, step.done ? " (done)" : " (not done yet)"),
        );
        title.addEventListener("click", () => {
            this.#open = open ? "" : step.id;
            this.#render(this.#last);
        });
        body.append(make("p", {}, step.text), this.#helpers(step, who));
        return make("li", { class: open ? "bs-step bs-now" : "bs-step" }, title, body);
    }

    #helpers(step, who) {
        const row = make("div", { class: "bs-buttons" });
        const add = (text, work) => {
            const node = button(text, work);
            node.dataset.key = `${step.id}:${row.childElementCount}`;
            row.append(node);
        };
        if (who && who.id !== this.#context.you()) {
            if (this.#context.become) add(`Be ${firstName(who)}`, () => this.#context.become(who.id));
            else row.append(make("p", { class: "bs-quiet" }, `First choose ${firstName(who)} at the top.`));
            return row;
        }
        if (step.insert) add(`Type “${cut(step.insert)}”`, () => this.#type(step));
        else if (step.go) add("Take me there", () => this.#context.goTo(step.go));
        if (step.panel) add("Show me", () => this.#show(step.panel));
        return row;
    }

    #type(step) {
        if (step.go) this.#context.goTo(step.go);
        // The composer of that channel is drawn with the next frame.
        requestAnimationFrame(() => requestAnimationFrame(() => this.#context.insert(step.insert)));
    }
}

function cut(text) {
    return text.length > 24 ? `${text.slice(0, 22)}…` : text;
}

function recall() {
    try {
        return localStorage.getItem(CLOSED) === "yes";
    } catch {
        return false;
    }
}

function remember(away) {
    try {
        localStorage.setItem(CLOSED, away ? "yes" : "no");
    } catch {
        // forbidden: it opens again next time
    }
}
