/* The conversation in the middle: its name and topic, its messages, the composer. */

import { Composer } from "./composer.js";
import { openDetails } from "./details.js";
import { icon } from "./icons.js";
import { make } from "./make.js";
import { MessageList } from "./messages.js";
import { channelName, personName } from "./names.js";
import { toHome } from "./route.js";

export class Conversation {
    #page;
    #title = make("h1", { class: "head-title", tabindex: "-1" });
    #topic = make("p", { class: "head-topic" });
    #tools = make("div", { class: "head-tools" });
    #scroller = make("div", { class: "scroller", tabindex: "-1" });
    #latest = make("button", { type: "button", class: "latest", hidden: true }, icon("down"), "Latest messages");
    #empty = make("p", { class: "empty", hidden: true });
    #shownChannel = null;
    #unread = { after: "0", until: "0" }; // what came before one did, and was not read
    #marked = null;
    #list;

    constructor(page) {
        this.#page = page;
        this.#list = new MessageList(this.#scroller, page, { label: "Messages" });
        this.#scroller.prepend(this.#empty);
        this.composer = new Composer(page, { kind: "channel" });
        this.node = make(
            "div",
            { class: "conversation" },
            make("div", { class: "head" }, make("div", { class: "head-text" }, this.#title, this.#topic), this.#tools),
            make("div", { class: "scroller-box" }, this.#scroller, this.#latest),
            this.composer.node,
        );
        this.#latest.addEventListener("click", () => this.#list.toEnd());
        this.#scroller.addEventListener("atend", ({ detail }) => {
            this.#latest.hidden = detail;
            if (detail) this.#read();
        });
        this.composer.node.addEventListener("said", () => this.#list.toEnd());
        document.addEventListener("visibilitychange", () => this.#read());
    }

    /** Draw the place one is in, from what the store holds. */
    draw() {
        const { store, place } = this.#page;
        const channel = store.get("channel", place.channel);
        if (this.#shownChannel !== place.channel) this.#enter(place.channel);
        this.#title.replaceChildren(...this.#name(channel));
        this.#topic.textContent = channel?.topic ?? "";
        this.#head(channel);
        this.#messages(channel);
        this.composer.show(this.#whereToWrite(channel));
        if (place.ts && !place.thread && this.#marked !== place.ts && this.#list.mark(place.ts))
            this.#marked = place.ts;
        this.#read();
    }

    /** A person was chosen or the stream began anew: nothing drawn is good any more. */
    forget() {
        this.#shownChannel = null;
    }

    /** A link to a message was followed again. */
    markAgain() {
        this.#marked = null;
    }

    #enter(channel) {
        const name = channelName(this.#page.store, this.#page.store.get("channel", channel));
        this.#shownChannel = channel;
        this.#marked = null;
        this.#list.clear(`Messages in ${name}`);
        const last = this.#page.store.messages(channel).at(-1)?.ts ?? "0";
        const { since } = this.#page.store;
        this.#unread = { after: this.#page.reading.upTo(channel), until: last > since ? last : since };
        this.#latest.hidden = true;
    }

    #name(channel) {
        if (channel === undefined) return ["Nothing to see here"];
        const name = channelName(this.#page.store, channel);
        if (channel.kind === "im" || channel.kind === "mpim") return [make("bdi", {}, name)];
        return [icon(channel.is_private ? "lock" : "hash"), make("bdi", {}, name.slice(1))];
    }

    #head(channel) {
        const { store, place } = this.#page;
        const tools = [];
        const partner = channel?.kind === "im" ? store.get("person", channel.name) : undefined;
        if (partner?.app_id && store.get("home", partner.app_id)) {
            tools.push(make("a", { class: "button small", href: toHome(partner.app_id) }, "Home"));
        }
        if (channel && !partner && channel.kind !== "im") {
            const count = `${channel.members.length} ${channel.members.length === 1 ? "member" : "members"}`;
            const open = () => openDetails(this.#page, place.channel);
            const button = make(
                "button",
                {
                    type: "button",
                    class: "button small",
                    "aria-label": `Channel details, ${count}`,
                    on: { click: open },
                },
                icon("people"),
                String(channel.members.length),
            );
            tools.push(button);
        }
        const drawn = JSON.stringify([channel?.id, channel?.members, partner?.id, tools.length]);
        if (this.#tools.dataset.drawn === drawn) return;
        this.#tools.dataset.drawn = drawn;
        this.#tools.replaceChildren(...tools);
    }

    #messages(channel) {
        const { store, place } = this.#page;
        const all = store.messages(place.channel);
        const replies = new Map();
        const top = [];
        for (const message of all) {
            const isReply = message.thread_ts && message.thread_ts !== message.ts;
            if (isReply) {
                if (!replies.has(message.thread_ts)) replies.set(message.thread_ts, []);
                replies.get(message.thread_ts).push(message);
            }
            if (!isReply || message.subtype === "thread_broadcast") top.push(message);
        }
        const whispered = store
            .all("ephemeral")
            .filter((message) => message.channel === place.channel && !message.thread_ts);
        const shown = whispered.length ? [...top, ...whispered].sort((a, b) => (a.ts < b.ts ? -1 : 1)) : top;
        this.#empty.hidden = shown.length > 0;
        this.#empty.textContent = this.#nothing(channel);
        const { after, until } = this.#unread;
        const first = top.find(
            (message) => message.ts > after && message.ts <= until && message.user !== this.#page.you,
        );
        this.#list.show(shown, { replies, unreadFrom: after === "0" ? null : (first?.ts ?? null) });
    }

    #nothing(channel) {
        if (channel === undefined) {
            const who = personName(this.#page.store, this.#page.you);
            return `${who} does not see this conversation. Choose another channel, or be somebody else.`;
        }
        return channel.kind === "im"
            ? "Nothing was written here yet."
            : "Nothing was written in this channel yet. Type / to see which commands there are.";
    }

    #whereToWrite(channel) {
        const label = channel === undefined ? "" : `Message ${channelName(this.#page.store, channel)}`;
        const place = { channel: this.#page.place.channel, label };
        if (channel === undefined) return { ...place, blocked: "You cannot write here." };
        if (channel.is_archived) return { ...place, blocked: "This channel is archived." };
        if (!channel.is_member)
            return { ...place, blocked: "You are not a member; join through the channel's details." };
        const you = this.#page.store.get("person", this.#page.you);
        if (channel.only_admins_post && !you?.is_admin && !you?.is_owner)
            return { ...place, blocked: "Only admins may post here." };
        return place;
    }

    #read() {
        const { place } = this.#page;
        if (place.view === "conversation" && place.channel && !document.hidden && this.#list.atEnd)
            this.#page.reading.read(place.channel);
    }
}
