/* What stands beside the workspace and is not Slack: a guide, a phone, a way to try the access, the bot's process.
 *
 * Rule: everything shown was asked of the server a moment ago, and nothing here knows more than the server says. Parts are
 * built once and changed where the answer changed, so that focus and what was typed stay. */

import { Access } from "/beside/access.js";
import { Bot } from "/beside/bot.js";
import { Guide } from "/beside/guide.js";
import { Phone } from "/beside/phone.js";
import { make } from "/files/make.js";

const EVERY = 1000; // ms between two looks
const SLOTS = new Set(); // phones shown inside windows

let host = null;

/** Called once: builds the panel in `element` and keeps it true. */
export function mount(element, context) {
    host = new Host(element, context);
    host.start();
}

/** A window is open, and all outside it is out of reach: the phone is shown in it too. */
export function mountInModal(slot, context) {
    const phone = new Phone(context, host.ask);
    slot.replaceChildren(phone.node);
    SLOTS.add(phone);
    if (host.state) phone.draw(host.state, host.now());
}

class Host {
    #context;
    #parts;
    #trouble = make("p", { class: "bs-trouble", role: "status" });
    #ahead = 0; // how much the server's clock is before this one, in seconds
    #asked = 0;
    #timer;
    state = null;

    constructor(element, context) {
        this.#context = context;
        const guide = new Guide(context, (name) => this.#show(name));
        const phone = new Phone(context, this.ask, { headed: true });
        const access = new Access(context, this.ask);
        const bot = new Bot(context, this.ask);
        this.#parts = { guide, phone, access, bot };
        const head = make(
            "div",
            { class: "bs-head" },
            make("h2", {}, "Beside the workspace"),
            guide.opener,
            make("p", {}, "Not part of the workspace: a phone, the production database and the bot’s process."),
        );
        element.classList.add("bs");
        element.append(head, this.#trouble, ...Object.values(this.#parts).map((part) => part.node));
        context.onPersona(() => {
            this.#draw(); // at once: what is pressed next is pressed by whom it now says
            this.#look();
        });
        document.addEventListener("visibilitychange", () => this.#look());
    }

    start() {
        this.#look();
        setInterval(() => this.#draw(), 250);
    }

    /** The server's time, in seconds since 1970. */
    now() {
        return Date.now() / 1000 + this.#ahead;
    }

    /** Asks the server to do something, and looks at what came of it. Always answers {ok, error?, ...}. */
    ask = async (verb, body) => {
        let answer;
        try {
            answer = await this.#context.request(`/beside/api/${verb}`, body);
        } catch (error) {
            const lost = error instanceof TypeError || error.name === "TimeoutError";
            answer = { ok: false, error: lost ? "The demo has ended or cannot be reached." : error.message };
        }
        await this.#look();
        return answer;
    };

    async #look() {
        clearTimeout(this.#timer);
        const turn = ++this.#asked;
        if (!document.hidden) await this.#read(turn);
        if (turn === this.#asked) this.#timer = setTimeout(() => this.#look(), EVERY);
    }

    async #read(turn) {
        const you = this.#context.you();
        if (!you) return;
        try {
            const state = await this.#context.request(`/beside/api/state?as=${encodeURIComponent(you)}`);
            if (turn !== this.#asked) return; // somebody asked again meanwhile
            this.#trouble.textContent = state.ok ? "" : state.error;
            if (!state.ok) return;
            this.state = { ...state, you };
            this.#ahead = state.now - Date.now() / 1000;
            this.#draw();
        } catch {
            if (turn === this.#asked) this.#trouble.textContent = "The demo has ended or cannot be reached. What stands here is how it was.";
        }
    }

    #draw() {
        if (!this.state) return;
        for (const phone of SLOTS) if (!phone.node.isConnected) SLOTS.delete(phone);
        for (const part of [...Object.values(this.#parts), ...SLOTS]) part.draw(this.state, this.now());
    }

    #show(name) {
        const { heading } = this.#parts[name];
        heading.scrollIntoView({ block: "start", behavior: "smooth" });
        heading.focus({ preventScroll: true });
    }
}
