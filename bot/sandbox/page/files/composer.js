/* Where one writes. Rule: what was typed is never lost: it stays when sending fails, when another channel or person is
 * looked at, and over a reload. Enter sends, Shift+Enter begins a line. */

import { completion } from "./completion.js";
import { icon } from "./icons.js";
import { freshId, make } from "./make.js";
import { tab } from "./memory.js";

export class Composer {
    #page;
    #field;
    #error;
    #hint;
    #send;
    #label;
    #suggestions;
    #place = { channel: null, thread: null };
    #busy = false;

    constructor(page, { kind }) {
        this.#page = page;
        const id = freshId("composer");
        this.#label = make("label", { for: id, class: "unseen" }, "Message");
        this.#error = make("p", { class: "wrong composer-error", role: "alert", id: freshId("error") });
        this.#hint = make("p", { class: "composer-hint", id: freshId("hint") });
        this.#field = make("textarea", {
            id,
            class: "composer-field",
            rows: "1",
            dir: "auto",
            autocomplete: "off",
            enterkeyhint: "send",
            "aria-describedby": `${this.#error.id} ${this.#hint.id}`,
            "data-composer": kind,
        });
        this.#send = make(
            "button",
            { type: "submit", class: "send", "aria-label": "Send", title: "Send" },
            icon("send"),
        );
        const holder = make("div", { class: "composer-box" }, this.#field, this.#send);
        this.node = make("form", { class: "composer", novalidate: true }, this.#label, this.#error, holder, this.#hint);
        this.#suggestions = completion(this.#field, page.store);
        this.#field.addEventListener("input", () => this.#typed());
        this.#field.addEventListener("keydown", (event) => this.#key(event));
        this.node.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#say();
        });
    }

    /** Write here from now on; `blocked` is a sentence when nobody can. */
    show({ channel, thread = null, label, blocked = null }) {
        const before = this.#draft;
        this.#place = { channel, thread, you: this.#page.you };
        this.#label.textContent = label;
        this.#field.placeholder = blocked ?? label;
        this.#field.disabled = blocked !== null;
        this.node.classList.toggle("blocked", blocked !== null);
        if (this.#draft === before) return;
        this.#field.value = tab.get(this.#draft, "");
        this.#error.textContent = "";
        this.#suggestions.close();
        this.#fit();
        this.#usage();
    }

    focus() {
        this.#field.focus();
    }

    /** Put text where the caret is, as if it was typed. */
    insert(text) {
        this.#field.focus();
        this.#field.setRangeText(text, this.#field.selectionStart, this.#field.selectionEnd, "end");
        this.#field.dispatchEvent(new Event("input", { bubbles: true }));
    }

    /** Where one is and as whom: the name under which what is typed is kept. */
    get #draft() {
        const { you, channel, thread } = this.#place;
        return `draft:${you}:${channel}:${thread ?? ""}`;
    }

    #typed() {
        this.#error.textContent = "";
        tab.set(this.#draft, this.#field.value);
        this.#fit();
        this.#usage();
    }

    #fit() {
        this.#field.style.height = "auto";
        this.#field.style.height = `${Math.min(this.#field.scrollHeight, 240)}px`;
        this.#send.disabled = this.#busy || this.#field.value.trim() === "";
    }

    /** How the command that is being typed is used. */
    #usage() {
        const name = /^\/\S+/.exec(this.#field.value)?.[0];
        const command = name && this.#page.store.get("command", name);
        this.#hint.textContent = command ? `${command.name} ${command.usage}` : "";
    }

    #key(event) {
        if (this.#suggestions.keydown(event)) return;
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            this.#say();
        }
    }

    async #say() {
        const text = this.#field.value;
        if (this.#busy || text.trim() === "" || this.#field.disabled) return;
        const { channel, thread } = this.#place;
        const draft = this.#draft;
        this.#wait(true);
        const answer = await this.#page.act("say", { channel, text, ...(thread ? { thread_ts: thread } : {}) });
        this.#wait(false);
        if (answer.ok && tab.get(draft, "") === text) tab.set(draft, "");
        if (draft !== this.#draft) {
            if (!answer.ok) this.#page.say(answer.error);
            return;
        }
        if (answer.ok && this.#field.value === text) this.#field.value = "";
        this.#error.textContent = answer.ok ? "" : answer.error;
        this.#fit();
        this.#usage();
        if (answer.ok) this.node.dispatchEvent(new CustomEvent("said"));
    }

    #wait(busy) {
        this.#busy = busy;
        this.node.setAttribute("aria-busy", String(busy));
        this.#fit();
    }
}
