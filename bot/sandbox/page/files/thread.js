/* A thread at the right of its conversation: the message, the replies, a composer. */

import { Composer } from "./composer.js";
import { icon } from "./icons.js";
import { make } from "./make.js";
import { MessageList } from "./messages.js";
import { channelName } from "./names.js";

export class Thread {
    #page;
    #node;
    #where = make("span", { class: "thread-where" });
    #scroller = make("div", { class: "scroller", tabindex: "-1" });
    #list;
    #shown = null;
    #marked = null;

    constructor(node, page) {
        this.#page = page;
        this.#node = node;
        this.#list = new MessageList(this.#scroller, page, { label: "Replies", inThread: true });
        this.composer = new Composer(page, { kind: "thread" });
        const close = () => page.go(page.place.channel);
        const cross = make(
            "button",
            { type: "button", class: "quiet-button", "aria-label": "Close thread", on: { click: close } },
            icon("close"),
        );
        const title = make("h2", { class: "head-title" }, "Thread ", this.#where);
        node.append(
            make("div", { class: "head" }, title, cross),
            make("div", { class: "scroller-box" }, this.#scroller),
            this.composer.node,
        );
        node.addEventListener("keydown", (event) => {
            if (event.key !== "Escape" || event.defaultPrevented) return;
            close();
        });
        this.composer.node.addEventListener("said", () => this.#list.toEnd());
    }

    draw() {
        const { store, place } = this.#page;
        const { channel, thread, ts } = place;
        const isOpen = place.view === "conversation" && thread !== null && store.get("channel", channel) !== undefined;
        this.#node.hidden = !isOpen;
        document.body.classList.toggle("has-thread", isOpen);
        if (!isOpen) {
            this.#shown = null;
            return;
        }
        const key = `${channel}:${thread}`;
        const isNew = this.#shown !== key;
        this.#shown = key;
        const name = channelName(store, store.get("channel", channel));
        this.#where.textContent = name;
        if (isNew) {
            this.#list.clear(`Thread in ${name}`);
            this.#marked = null;
        }
        const replies = store
            .messages(channel)
            .filter((message) => message.thread_ts === thread && message.ts !== thread);
        const whispered = store
            .all("ephemeral")
            .filter((message) => message.channel === channel && message.thread_ts === thread);
        const parent = store.message(channel, thread);
        const rest = [...replies, ...whispered].sort((a, b) => (a.ts < b.ts ? -1 : 1));
        this.#list.show(parent ? [parent, ...rest] : rest);
        const gone = parent === undefined || parent.subtype === "tombstone";
        this.composer.show({
            channel,
            thread,
            label: "Reply in thread",
            blocked: gone ? "The message of this thread was deleted." : null,
        });
        if (isNew && place.focusThread) this.composer.focus();
        if (ts !== thread && this.#marked !== ts && this.#list.mark(ts)) this.#marked = ts;
    }

    forget() {
        this.#shown = null;
    }
}
