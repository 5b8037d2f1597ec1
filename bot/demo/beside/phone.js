/* The phone in somebody's hand. Rule: a code works once, so one that the desk has accepted is never shown again, and the
 * next one is shown as early as the desk takes it. */

import { button, copy, firstName, section, write } from "/beside/parts.js";
import { make } from "/files/make.js";

const NONE = "••• •••";
const LIFE = 90; // seconds in which the desk takes a code: its own half minute, the one before and the one after

export class Phone {
    #context;
    #ask;
    #title;
    #code = make("p", { class: "bs-code" });
    #bar = make("progress", { class: "bs-bar", max: String(LIFE), "aria-hidden": "true" });
    #left = make("p", { class: "bs-quiet bs-left" });
    #misses = make("p", { class: "bs-misses", role: "status" });
    #screen;
    #wrong;
    #none = make("p", { class: "bs-quiet" });
    #again;
    #take;
    #state = null;

    /** `ask` as in panel.js; `headed` in the panel, where it can be jumped to. */
    constructor(context, ask, { headed = false } = {}) {
        this.#context = context;
        this.#ask = ask;
        this.#take = button("Copy", () => copy(this.#state.phone.code, "Code", context.say));
        this.#take.setAttribute("aria-label", "Copy the code");
        const fake = button("Copy a wrong code", () => copy(this.#state.phone.wrong, "A wrong code", context.say), "bs-plain");
        this.#again = button("New authenticator, by the operator", () => this.#enrol());
        this.#screen = make("div", { class: "bs-screen" }, make("div", { class: "bs-row" }, this.#code, this.#take), this.#bar, this.#left);
        this.#wrong = make("div", { class: "bs-under" }, this.#misses, this.#again, fake);
        if (headed) Object.assign(this, section("phone", "Authenticator", this.#screen, this.#wrong, this.#none));
        else {
            const heading = make("h3", {}, "Authenticator");
            this.node = make("div", { class: "bs bs-part bs-phone bs-inside" }, heading, this.#screen, this.#wrong, this.#none);
            this.heading = heading;
        }
        this.#title = this.heading;
    }

    draw(state, now) {
        this.#state = state;
        const { phone } = state;
        const you = this.#context.you();
        const name = firstName(this.#context.person(you));
        write(this.#title, `${name}’s phone`);
        if (state.you !== you) {
            this.#takenOut();
            return;
        }
        this.#screen.hidden = this.#wrong.hidden = !phone.has;
        this.#none.hidden = phone.has;
        if (!phone.has) {
            write(this.#none, `${name} has no authenticator: nothing here asks for one.`);
            return;
        }
        const locked = phone.misses >= phone.most;
        const early = phone.from - now;
        const waits = locked || early > 0;
        this.#screen.classList.toggle("bs-waits", waits);
        write(this.#code, waits ? NONE : `${phone.code.slice(0, 3)} ${phone.code.slice(3)}`);
        this.#take.hidden = waits;
        this.#bar.hidden = waits;
        this.#bar.value = Math.max(0, phone.until - now);
        write(this.#left, sentence(locked, early, phone.until - now));
        write(this.#misses, missed(phone, locked));
        this.#misses.hidden = phone.misses === 0;
        this.#again.hidden = !locked;
    }

    /** Nobody's code is shown as another's: until the server has said this person's, there is none. */
    #takenOut() {
        write(this.#code, NONE);
        write(this.#left, "One moment …");
        this.#take.hidden = this.#bar.hidden = this.#wrong.hidden = this.#none.hidden = true;
    }

    async #enrol() {
        const answer = await this.#ask("enrol", { as: this.#state.you });
        this.#context.say(answer.ok ? "There is a new authenticator. The old one is void, the lock is lifted." : answer.error);
        if (!answer.ok) write(this.#misses, answer.error);
    }
}

function sentence(locked, early, left) {
    if (locked) return "Codes are refused now.";
    if (early > 0) return `The last one is used. The next comes in ${Math.ceil(early)} s.`;
    return `Works once, for ${Math.max(0, Math.ceil(left))} s.`;
}

function missed({ misses, most }, locked) {
    if (locked) return `${misses} wrong codes: locked for up to half an hour, and security was told.`;
    return misses === 0 ? "" : `${misses} wrong ${misses === 1 ? "code" : "codes"}; ${most} lock.`;
}
