/* One message: who, when, what, what can be done with it. Rule: an update changes what differs and leaves the rest, so
 * that somebody in the middle of a card keeps their place. */

import { renderBlocks } from "./blocks.js";
import { contextOf } from "./context.js";
import { clockTime, machineTime, wholeMoment } from "./dates.js";
import { ask, askText } from "./dialogs.js";
import { icon } from "./icons.js";
import { freshId, make } from "./make.js";
import { asTyped, initials, personName, tint } from "./names.js";
import { menuButton } from "./popup.js";
import { toChannel } from "./route.js";
import { mrkdwn } from "./text.js";

const BY_ITSELF = new Set(["channel_join", "group_join", "channel_leave", "group_leave"]);

/** Whether Slack wrote it when somebody did something, or a tombstone stands for it. */
export function isQuiet(message) {
    return Boolean(message.subtype) && message.subtype !== "thread_broadcast" && message.subtype !== "bot_message";
}

/** A message on the page: {node, update(message, {compact, replies, inThread})}. */
export class MessageEntry {
    #page;
    #parts;
    #message = null;
    #blocks = null;

    constructor(page) {
        this.#page = page;
        const author = make("span", { class: "author", id: freshId("author") });
        const badge = make("span", { class: "badge", hidden: true }, "App");
        const time = make("time", {});
        const link = make("a", { class: "time" }, time);
        const body = make("div", { class: "body" });
        const edited = make("span", { class: "edited", hidden: true }, "(edited)");
        const only = make("p", { class: "only-you", hidden: true });
        const extra = make("div", { class: "extra" });
        const wrong = make("p", { class: "wrong", role: "alert" });
        const thread = make("button", { type: "button", class: "thread-link", hidden: true });
        const tools = make("div", { class: "message-tools" });
        const avatar = make("div", { class: "avatar", "aria-hidden": "true" });
        const head = make("div", { class: "message-head" }, author, badge, link, edited);
        const content = make("div", { class: "content" }, only, head, body, extra, wrong, thread);
        this.node = make(
            "article",
            { class: "message", tabindex: "-1", "aria-labelledby": author.id },
            avatar,
            content,
            tools,
        );
        this.#parts = { author, badge, time, link, body, edited, only, extra, wrong, thread, tools, avatar };
        thread.addEventListener("click", () => page.openThread(this.#message));
        this.#makeTools();
    }

    update(message, { compact, replies = [], inThread = false }) {
        const isNew = this.#message === null;
        const changed = this.#message !== message;
        this.#message = message;
        const { store } = this.#page;
        const parts = this.#parts;
        const quiet = isQuiet(message);
        const person = store.get("person", message.user);
        const name = personName(store, message.user);
        this.node.className = ["message", compact && "compact", quiet && "quiet", message.ephemeral && "ephemeral"]
            .filter(Boolean)
            .join(" ");
        this.node.dataset.ts = message.ts;
        parts.author.textContent = quiet && BY_ITSELF.has(message.subtype) ? "" : name;
        parts.author.dir = "auto";
        parts.badge.hidden = !person?.is_bot;
        parts.avatar.textContent = message.subtype === "tombstone" ? "" : initials(name);
        parts.avatar.className = `avatar ${person?.is_bot ? "app" : person ? tint(message.user) : "nobody"}`;
        parts.time.textContent = clockTime(message.ts) ?? "";
        parts.time.dateTime = machineTime(message.ts) ?? "";
        parts.link.title = wholeMoment(message.ts) ?? "";
        parts.link.href = toChannel(message.channel, message.ts);
        parts.edited.hidden = !message.edited || quiet;
        this.#threadLink(replies, inThread);
        if (changed || isNew) this.#body(message);
    }

    /** The message stands out for a moment: a link led here. */
    mark() {
        this.node.classList.remove("marked");
        void this.node.offsetWidth; // restarts the animation
        this.node.classList.add("marked");
    }

    #body(message) {
        const { body, extra, only, wrong } = this.#parts;
        const context = this.#context(message);
        wrong.textContent = "";
        if (message.blocks?.length) {
            this.#blocks ??= body;
            if (!body.classList.contains("bk")) body.replaceChildren();
            renderBlocks(body, message.blocks, context);
        } else {
            if (body.classList.contains("bk")) this.#renew();
            this.#parts.body.dir = "auto";
            this.#parts.body.replaceChildren(mrkdwn(message.text, context));
        }
        extra.replaceChildren(...this.#extras(message, context));
        only.hidden = !message.ephemeral;
        if (message.ephemeral && only.childElementCount === 0) {
            const dismiss = () => this.#page.do("dismiss", { channel: message.channel, ts: message.ts });
            only.append(
                icon("eye"),
                "Only you can see this",
                make("button", { type: "button", class: "text-button", on: { click: dismiss } }, "Dismiss"),
            );
        }
    }

    /** A container that showed blocks is not reused for text. */
    #renew() {
        const fresh = make("div", { class: "body" });
        this.#parts.body.replaceWith(fresh);
        this.#parts.body = fresh;
    }

    #context(message) {
        const where = { channel: message.channel, ts: message.ts, ...(message.ephemeral ? { ephemeral: true } : {}) };
        const became = (answer) => {
            this.#parts.wrong.textContent = answer.ok ? "" : answer.error;
        };
        return contextOf(this.#page, where, { values: message.values, became });
    }

    #extras(message, context) {
        const nodes = [];
        for (const attachment of message.attachments ?? []) {
            const box = make("div", { class: "attachment" });
            const inner = make("div", {});
            if (attachment.blocks?.length) renderBlocks(inner, attachment.blocks, context);
            else inner.append(mrkdwn(attachment.text ?? attachment.fallback ?? "", context));
            box.append(inner);
            nodes.push(box);
        }
        for (const file of message.files ?? []) {
            const size = file.size < 10_000 ? `${file.size} bytes` : `${Math.round(file.size / 1024)} KB`;
            nodes.push(
                make("p", { class: "file" }, make("bdi", {}, file.title || file.name), ` (${file.name}, ${size})`),
            );
        }
        if (message.reactions?.length) {
            const one = ({ name, users }) => {
                const who = users.map((id) => personName(this.#page.store, id)).join(", ");
                return make("li", { class: "reaction", title: who }, mrkdwn(`:${name}:`, context), ` ${users.length}`);
            };
            nodes.push(make("ul", { class: "reactions", "aria-label": "Reactions" }, ...message.reactions.map(one)));
        }
        return nodes;
    }

    #threadLink(replies, inThread) {
        const { thread } = this.#parts;
        thread.hidden = inThread || replies.length === 0;
        if (thread.hidden) return;
        const last = replies.at(-1);
        const count = replies.length === 1 ? "1 reply" : `${replies.length} replies`;
        thread.replaceChildren(
            make("span", { class: "thread-count" }, count),
            make("span", { class: "thread-last" }, `last at ${clockTime(last.ts)}`),
        );
    }

    #makeTools() {
        const { tools } = this.#parts;
        const reply = make(
            "button",
            {
                type: "button",
                class: "quiet-button reply",
                "aria-label": "Reply in thread",
                title: "Reply in thread",
                on: { click: () => this.#page.openThread(this.#message) },
            },
            icon("reply"),
        );
        const more = make(
            "button",
            { type: "button", class: "quiet-button", "aria-label": "More actions", title: "More actions" },
            icon("more"),
        );
        menuButton(more, "Message actions", () => this.#items());
        tools.append(reply, more);
    }

    #items() {
        const message = this.#message;
        const page = this.#page;
        const { store } = page;
        const you = store.get("person", page.you);
        const place = { channel: message.channel, ts: message.ts };
        if (message.ephemeral) return [{ text: "Dismiss", act: () => page.do("dismiss", place) }];
        const items = [
            {
                text: "Copy link",
                act: () => page.copy(`${location.origin}/${toChannel(message.channel, message.ts)}`, "Link"),
            },
        ];
        if (message.subtype !== "tombstone")
            items.push({ text: "Reply in thread", act: () => page.openThread(message) });
        for (const shortcut of store.all("shortcut")) {
            if (shortcut.kind === "message") {
                items.push({
                    text: shortcut.name,
                    act: () => page.do("shortcut", { ...place, callback_id: shortcut.id }),
                });
            }
        }
        const own = message.user === page.you && !message.bot_id;
        if (own && !isQuiet(message)) items.push({ text: "Edit", act: () => this.#edit(place) });
        if (own || you?.is_admin || you?.is_owner)
            items.push({ text: "Delete …", danger: true, act: () => this.#delete(place) });
        return items;
    }

    #edit(place) {
        askText(
            {
                title: "Edit message",
                label: "Message",
                value: asTyped(this.#page.store, this.#message.text),
                yes: "Save",
                multiline: true,
            },
            async (text) => {
                const answer = await this.#page.act("edit", { ...place, text });
                return answer.ok ? null : answer.error;
            },
        );
    }

    async #delete(place) {
        const mine = this.#message.user === this.#page.you;
        const words = mine ? "It is gone for everybody." : "It is not yours: you delete it as an admin, for everybody.";
        const body = make("p", { class: "dialog-text" }, words);
        if (await ask({ title: "Delete this message?", body, yes: "Delete", danger: true }))
            this.#page.do("delete", place);
    }
}
