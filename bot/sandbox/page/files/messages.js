/* A list of messages, grouped by day and author. Rule: what is in it stays where it is; only what changed is drawn
 * again, only the latest are drawn at first, and the reader is moved only when they stand at the end. */

import { longDate } from "./dates.js";
import { make } from "./make.js";
import { MessageEntry, isQuiet } from "./message.js";

const FIRST = 60; // messages drawn at once; earlier ones follow when the reader scrolls there
const MORE = 120;
const TOGETHER = 300; // seconds within which messages of one author stand under one name
const NEAR = 80; // pixels from the end that count as the end

export class MessageList {
    #page;
    #scroller;
    #list;
    #earlier;
    #entries = new Map(); // key -> {entry or null, node, seen: what it was drawn from}
    #limit = FIRST;
    #options;
    #shown = { messages: [] };
    #stuck = true;

    /** `scroller` scrolls; the list goes into it. `inThread`: replies are not counted, the parent stands first. */
    constructor(scroller, page, { label, inThread = false }) {
        this.#page = page;
        this.#scroller = scroller;
        this.#options = { inThread };
        this.#earlier = make(
            "button",
            { type: "button", class: "text-button earlier", hidden: true },
            "Show earlier messages",
        );
        this.#list = make("div", { class: "message-list", role: "log", "aria-label": label, "aria-live": "off" });
        scroller.append(this.#earlier, this.#list);
        this.#earlier.addEventListener("click", () => this.#grow());
        scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
        this.#list.addEventListener("keydown", (event) => this.#travel(event));
        new ResizeObserver(() => this.#stuck && this.toEnd()).observe(this.#list);
    }

    /** Another conversation: nothing is kept. */
    clear(label) {
        this.#entries.clear();
        this.#list.replaceChildren();
        this.#list.setAttribute("aria-label", label);
        this.#list.setAttribute("aria-live", "off"); // a history is not news
        this.#limit = FIRST;
        this.#stuck = true;
        this.#shown = { messages: [] };
    }

    /** `messages` with ephemerals among them, oldest first; `replies`: ts -> its replies; `unreadFrom`: a ts or null. */
    show(messages, { replies = new Map(), unreadFrom = null } = {}) {
        this.#shown = { messages, replies, unreadFrom };
        const drawn = messages.slice(-this.#limit);
        this.#earlier.hidden = drawn.length === messages.length;
        const nodes = [];
        let before = null;
        let told = false;
        for (const message of drawn) {
            const day = longDate(message.ts);
            if (before === null || longDate(before.ts) !== day) nodes.push(this.#divider(`day ${day}`, day, "day"));
            if (!told && unreadFrom !== null && message.ts >= unreadFrom) {
                nodes.push(this.#divider("new", "New", "day new"));
                told = true;
            }
            nodes.push(this.#message(message, this.#compact(before, message)));
            before = message;
        }
        this.#arrange(nodes);
        if (this.#stuck) this.toEnd();
        requestAnimationFrame(() => this.#list.setAttribute("aria-live", "polite"));
        return this;
    }

    get atEnd() {
        return this.#scroller.scrollHeight - this.#scroller.scrollTop - this.#scroller.clientHeight < NEAR;
    }

    toEnd() {
        this.#stuck = true;
        this.#scroller.scrollTop = this.#scroller.scrollHeight;
    }

    /** Scroll to a message and mark it; false when it is not there. */
    mark(ts) {
        const place = this.#shown.messages.findIndex((message) => message.ts === ts);
        if (place < 0) return false;
        const wanted = this.#shown.messages.length - place + 10;
        if (wanted > this.#limit) {
            this.#limit = wanted;
            this.show(this.#shown.messages, this.#shown);
        }
        const kept = this.#entries.get(this.#shown.messages[place].id);
        this.#stuck = false;
        kept.node.scrollIntoView({ block: "center" });
        kept.node.focus({ preventScroll: true });
        kept.entry.mark();
        return true;
    }

    #compact(before, message) {
        if (before === null || isQuiet(before) || isQuiet(message)) return false;
        const same = before.user === message.user && Boolean(before.ephemeral) === Boolean(message.ephemeral);
        const apart = Number(message.ts) - Number(before.ts);
        return same && !message.ephemeral && apart < TOGETHER && longDate(before.ts) === longDate(message.ts);
    }

    #message(message, compact) {
        const key = message.id;
        if (!this.#entries.has(key)) {
            const entry = new MessageEntry(this.#page);
            this.#entries.set(key, { entry, node: entry.node, seen: null });
        }
        const kept = this.#entries.get(key);
        const replies = this.#shown.replies?.get(message.ts) ?? [];
        const seen = [message, compact, replies.length, replies.at(-1), this.#page.store.get("person", message.user)];
        if (kept.seen === null || seen.some((part, index) => part !== kept.seen[index])) {
            kept.seen = seen;
            kept.entry.update(message, { compact, replies, inThread: this.#options.inThread });
        }
        return kept.node;
    }

    #divider(key, text, kind) {
        if (!this.#entries.has(key)) {
            this.#entries.set(key, {
                node: make("div", { class: kind, role: "separator", "aria-label": text }, make("span", {}, text)),
            });
        }
        return this.#entries.get(key).node;
    }

    /** The nodes in this order; one that stands rightly is not moved, because a moved one loses the focus. */
    #arrange(nodes) {
        const keep = new Set(nodes);
        for (const [key, { node }] of this.#entries) {
            if (keep.has(node)) continue;
            if (node.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
            node.remove();
            this.#entries.delete(key);
        }
        let next = this.#list.firstChild;
        for (const node of nodes) {
            if (node === next) next = next.nextSibling;
            else this.#list.insertBefore(node, next);
        }
        const messages = [...this.#list.querySelectorAll(":scope > .message")];
        if (!messages.some((node) => node.tabIndex === 0)) messages.at(-1)?.setAttribute("tabindex", "0");
    }

    #grow() {
        const fromEnd = this.#scroller.scrollHeight - this.#scroller.scrollTop;
        this.#limit += MORE;
        this.#list.setAttribute("aria-live", "off");
        this.show(this.#shown.messages, this.#shown);
        this.#scroller.scrollTop = this.#scroller.scrollHeight - fromEnd;
    }

    #scrolled() {
        this.#stuck = this.atEnd;
        if (this.#scroller.scrollTop < 200 && !this.#earlier.hidden) this.#grow();
        this.#scroller.dispatchEvent(new CustomEvent("atend", { detail: this.#stuck }));
    }

    /** Up and down walk through the messages, Home and End to the ends of what is drawn. */
    #travel(event) {
        const messages = [...this.#list.querySelectorAll(":scope > .message")];
        const at = messages.indexOf(document.activeElement);
        if (at < 0) return;
        const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: messages.length - 1 }[event.key];
        const next = to === undefined ? undefined : messages[to];
        if (next === undefined) return;
        event.preventDefault();
        messages[at].tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        next.scrollIntoView({ block: "nearest" });
    }
}
