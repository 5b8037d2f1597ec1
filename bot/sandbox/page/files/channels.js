/* The list of channels, conversations and apps. Rule: links, so that the keyboard, the middle button and a bookmark do what
 * they always do; what is unread is said in words too. */

import { icon } from "./icons.js";
import { make } from "./make.js";
import { channelName, initials, personName, tint } from "./names.js";
import { toChannel, toHome } from "./route.js";

export class Channels {
    #page;
    #node;

    constructor(node, page) {
        this.#page = page;
        this.#node = node;
        for (const kind of ["channel", "person", "message", "home", "shortcut", "reset"])
            page.store.on(kind, () => this.#soon());
        page.reading.onChange(() => this.#soon());
        page.onPlace(() => this.draw());
    }

    #waiting = false;

    #soon() {
        if (this.#waiting) return;
        this.#waiting = true;
        requestAnimationFrame(() => {
            this.#waiting = false;
            this.draw();
        });
    }

    draw() {
        const { store } = this.#page;
        const focused = this.#node.contains(document.activeElement) ? document.activeElement.dataset.key : null;
        const channels = store.all("channel");
        const named = channels
            .filter(({ kind }) => kind === "channel" || kind === "group")
            .sort((a, b) => a.name.localeCompare(b.name));
        const mine = named.filter((channel) => channel.is_member && !channel.is_archived);
        const other = named.filter((channel) => !channel.is_member && !channel.is_archived);
        const archived = named.filter((channel) => channel.is_archived);
        const isBot = (channel) => store.get("person", channel.name)?.is_bot;
        const direct = channels.filter(
            ({ kind, id }) =>
                (kind === "im" || kind === "mpim") &&
                (store.messages(id).length > 0 || id === this.#page.place.channel),
        );
        const people = direct.filter((channel) => !isBot(channel));
        const apps = store.all("person").filter((person) => person.is_bot && person.app_id && !person.deleted);
        const links = (list) => list.map((channel) => this.#link(channel));
        this.#node.replaceChildren(
            this.#section("Channels", links(mine)),
            ...(other.length ? [this.#section("Open to you", links(other))] : []),
            ...(archived.length ? [this.#section("Archived", links(archived))] : []),
            this.#section(
                "Apps",
                apps.flatMap((app) => this.#app(app)),
            ),
            ...(people.length ? [this.#section("Direct messages", links(people))] : []),
            this.#actions(),
        );
        if (focused) this.#node.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    }

    #section(title, items) {
        const list = make("ul", {}, ...items.map((item) => make("li", {}, item)));
        return make("section", { class: "channel-section" }, make("h2", {}, title), list);
    }

    #link(channel) {
        const { store, place } = this.#page;
        const name = channelName(store, channel);
        const sign = channel.kind === "im" ? this.#face(channel.name) : icon(channel.is_private ? "lock" : "hash");
        const kind =
            channel.kind === "group" ? "private channel" : channel.kind === "channel" ? "channel" : "direct messages";
        const here = place.view === "conversation" && place.channel === channel.id;
        return this.#entry({
            key: channel.id,
            href: toChannel(channel.id),
            sign,
            text: name.replace(/^#/, ""),
            spoken: kind,
            here,
            unread: this.#page.reading.unread(channel.id),
        });
    }

    #face(id) {
        return make(
            "span",
            { class: `face ${tint(id)}`, "aria-hidden": "true" },
            initials(personName(this.#page.store, id)),
        );
    }

    /** An app: its messages, and its Home where it has one. */
    #app(person) {
        const { store, place } = this.#page;
        const channel = store.all("channel").find(({ kind, name }) => kind === "im" && name === person.id);
        const sign = () => make("span", { class: "face app", "aria-hidden": "true" }, initials(person.name));
        const here = channel && place.view === "conversation" && place.channel === channel.id;
        const open = async (event) => {
            if (channel) return;
            event.preventDefault();
            const answer = await this.#page.do("open_direct", { user: person.id });
            if (answer.ok) this.#page.go(answer.channel);
        };
        const entries = [
            this.#entry({
                key: person.id,
                href: channel ? toChannel(channel.id) : "#/",
                sign: sign(),
                text: person.name,
                spoken: "app, messages",
                here,
                unread: channel ? this.#page.reading.unread(channel.id) : 0,
                open,
            }),
        ];
        if (store.get("home", person.app_id)) {
            const isHome = place.view === "home" && place.app === person.app_id;
            entries.push(
                this.#entry({
                    key: person.app_id,
                    href: toHome(person.app_id),
                    sign: icon("home"),
                    text: `${person.name} Home`,
                    spoken: "app",
                    here: isHome,
                    unread: 0,
                }),
            );
        }
        return entries;
    }

    #entry({ key, href, sign, text, spoken, here, unread, open }) {
        return make(
            "a",
            {
                href,
                class: unread && !here ? "channel-link unread" : "channel-link",
                "aria-current": here ? "page" : null,
                "data-key": key,
                on: open ? { click: open } : {},
            },
            sign,
            make("bdi", { class: "channel-text" }, text),
            make("span", { class: "unseen" }, `, ${spoken}`),
            unread && !here
                ? make("span", { class: "count" }, String(unread), make("span", { class: "unseen" }, " unread"))
                : null,
        );
    }

    /** Global shortcuts, and writing to somebody. */
    #actions() {
        const { store } = this.#page;
        const run = (shortcut) => () => this.#page.do("shortcut", { callback_id: shortcut.id });
        const shortcuts = store.all("shortcut").filter(({ kind }) => kind === "global");
        const buttons = shortcuts.map((shortcut) =>
            make(
                "button",
                {
                    type: "button",
                    class: "channel-link",
                    "data-key": `shortcut ${shortcut.id}`,
                    on: { click: run(shortcut) },
                },
                icon("bolt"),
                make("bdi", {}, shortcut.name),
            ),
        );
        return buttons.length ? this.#section("Shortcuts", buttons) : "";
    }
}
