/* The page put together: who one is, where one is, and which part draws what. Rule: the address says where, the stream
 * says what, and nothing here decides what somebody may do: the workspace does, and answers with a sentence. */

import { actAs, meta, request } from "./api.js";
import { Channels } from "./channels.js";
import { Conversation } from "./conversation.js";
import { Home } from "./home.js";
import { icon } from "./icons.js";
import { make } from "./make.js";
import { browser, tab } from "./memory.js";
import { channelName, shortName } from "./names.js";
import { mountPanel } from "./panelhost.js";
import { People } from "./people.js";
import { Reading } from "./reading.js";
import { permalink, read, toChannel } from "./route.js";
import { Store } from "./store.js";
import { themeButton } from "./theme.js";
import { Thread } from "./thread.js";
import { Windows } from "./windows.js";
import { Wire } from "./wire.js";

const store = new Store();
const find = (id) => document.getElementById(id);
const personaListeners = new Set();
const placeListeners = new Set();
let host = null; // the panel beside, once it is mounted

/** What every part of the page is given. */
const page = {
    store,
    reading: new Reading(store),
    place: { ...read(location.hash), thread: null, focusThread: false },

    get you() {
        return store.you;
    },
    onPersona: (callback) => personaListeners.add(callback),
    onPlace: (callback) => placeListeners.add(callback),

    actAs,
    act: (verb, args) => actAs(store.you, verb, args),

    /** Act, and say so when it cannot be. */
    async do(verb, args) {
        const answer = await page.act(verb, args);
        if (!answer.ok) page.notice(answer.error);
        return answer;
    },

    /** Be somebody else: their windows, their channels, their drafts. */
    become(id) {
        if (id === store.you) return;
        tab.set("persona", id);
        browser.set("persona", id);
        conversation.forget();
        thread.forget();
        home.forget();
        store.connect(id);
        for (const callback of personaListeners) callback(id);
    },

    go(channel, ts = null) {
        const hash = toChannel(channel, ts);
        if (location.hash === hash) {
            conversation.markAgain();
            moved();
        } else location.hash = hash;
        document.body.dataset.view = "conversation";
    },
    openThread(message) {
        page.place.focusThread = true;
        location.hash = toChannel(message.channel, message.thread_ts ?? message.ts, true);
    },
    leaveWire: () => (history.length > 1 && lastPlace ? (location.hash = lastPlace) : page.go(firstChannel())),

    /** Links into this workspace are followed here; all others leave through a new tab. */
    follow(address, event) {
        const place = permalink(address, [store.team.url, location.origin]);
        if (place === null) return;
        event?.preventDefault();
        page.go(place.channel, place.ts);
    },

    /** Polite, for screen readers. */
    say(text) {
        find("said").textContent = "";
        setTimeout(() => (find("said").textContent = text), 50);
    },

    /** A sentence everybody sees for a while. */
    notice(text) {
        const node = make("div", { class: "notice", role: "alert" }, make("span", {}, text));
        const gone = () => node.remove();
        node.append(
            make(
                "button",
                { type: "button", class: "quiet-button", "aria-label": "Dismiss", on: { click: gone } },
                icon("close"),
            ),
        );
        const on = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body; // what lies outside a dialog is out of reach
        on.append(node);
        setTimeout(gone, 12_000);
    },

    async copy(text, what) {
        try {
            await navigator.clipboard.writeText(text);
            page.say(`${what} copied.`);
        } catch {
            page.notice(`It could not be copied. Here it is: ${text}`);
        }
    },

    insert: (text) => {
        if (page.place.view !== "conversation") page.go(firstChannel());
        document.body.dataset.view = "conversation";
        conversation.composer.insert(text);
    },
    request,
    mountInWindow: (slot) => host?.mountInModal(slot),
};

const conversation = new Conversation(page);
const home = new Home(page);
const wire = new Wire(page);
const thread = new Thread(find("thread"), page);
new Channels(find("channels"), page);
new People(find("people"), page);
new Windows(page);

// --- where one is -----------------------------------------------------------------------------------------------

let lastPlace = "";

function firstChannel() {
    const channels = store.all("channel").filter((channel) => channel.kind === "channel" || channel.kind === "group");
    const mine = channels.filter((channel) => channel.is_member && !channel.is_archived);
    const remembered = mine.find(({ id }) => id === tab.get(`place:${store.you}`));
    return (remembered ?? mine[0] ?? channels[0])?.id ?? null;
}

function moved() {
    const place = read(location.hash);
    if (place.view === "conversation" && place.channel) lastPlace = location.hash;
    const { focusThread } = page.place;
    page.place = { ...place, thread: place.thread ? place.ts : null, focusThread };
    draw();
    page.place.focusThread = false;
    for (const callback of placeListeners) callback(page.place);
}

/** A channel that this person does not see is left for one that they do; a reply is shown in its thread. */
function settle() {
    const { place } = page;
    if (place.view !== "conversation" || store.all("channel").length === 0) return;
    if (!place.channel || !store.get("channel", place.channel)) {
        const first = firstChannel();
        if (first && first !== place.channel) {
            history.replaceState(null, "", toChannel(first));
            page.place = { ...read(location.hash), thread: null, focusThread: false };
            for (const callback of placeListeners) callback(page.place);
        }
        return;
    }
    if (place.ts && !place.thread) {
        const message = store.message(place.channel, place.ts);
        if (message?.thread_ts && message.thread_ts !== message.ts) place.thread = message.thread_ts;
    }
    tab.set(`place:${store.you}`, place.channel);
}

function draw() {
    settle();
    const { place } = page;
    const shown = { conversation, home, wire }[place.view];
    const main = find("main");
    if (main.firstChild !== shown.node) main.replaceChildren(shown.node);
    shown.draw();
    thread.draw();
    find("wire-button")?.setAttribute("aria-pressed", String(place.view === "wire"));
    const title =
        place.view === "conversation"
            ? channelName(store, store.get("channel", place.channel))
            : { home: "Home", wire: "Wire" }[place.view];
    document.title = `${title} · ${shortName(store, store.you)} · Sandbox workspace`;
}

let waiting = false;

function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
        waiting = false;
        draw();
    });
}

window.addEventListener("hashchange", () => {
    document.body.dataset.view = "conversation";
    moved();
});
store.on("*", (changed) => {
    const only = [...changed.keys()].every((kind) => kind === "exchange" || kind === "modal");
    if (!only) soon();
});

// --- the stream -------------------------------------------------------------------------------------------------

const banner = find("banner");
let bannerTimer;

function linkChanged(stands) {
    clearTimeout(bannerTimer);
    if (stands) banner.hidden = true;
    else bannerTimer = setTimeout(showLost, 800); // a short gap is nobody's worry
}

function showLost() {
    if (!banner.hidden) return;
    const retry = make("button", { type: "button", class: "button small" }, "Try again");
    retry.addEventListener("click", async () => {
        retry.disabled = true;
        try {
            await fetch("/", { signal: AbortSignal.timeout(5000) });
            if (store.ended)
                location.reload(); // another server, another key
            else store.connect(store.you);
        } catch {
            page.say("It still cannot be reached.");
        }
        retry.disabled = false;
    });
    const words = make(
        "p",
        { role: "status" },
        make("strong", {}, "The demo has ended or cannot be reached."),
        " What you see is how it was.",
    );
    banner.replaceChildren(words, retry);
    banner.hidden = false;
}

store.on("link", linkChanged);

// --- header, bottom bar, panel ----------------------------------------------------------------------------------

function tools() {
    const wireButton = make(
        "button",
        { type: "button", class: "bar-button", id: "wire-button", "aria-pressed": "false" },
        icon("wire"),
        make("span", {}, "Wire"),
    );
    wireButton.addEventListener("click", () =>
        page.place.view === "wire" ? page.leaveWire() : (location.hash = "#/wire"),
    );
    find("tools").append(wireButton, themeButton());
}

function tabs() {
    const parts = {
        channels: "Channels",
        conversation: "Conversation",
        ...(meta("beside") === "yes" ? { panel: "Panel" } : {}),
    };
    const buttons = Object.entries(parts).map(([view, text]) =>
        make("button", { type: "button", class: "tab", "data-view": view, on: { click: () => show(view) } }, text),
    );
    const show = (view) => {
        document.body.dataset.view = view;
    };
    const mark = () =>
        buttons.forEach((button) =>
            button.setAttribute("aria-pressed", String(button.dataset.view === document.body.dataset.view)),
        );
    new MutationObserver(mark).observe(document.body, { attributes: true, attributeFilter: ["data-view"] });
    find("tabs").append(...buttons);
    mark();
}

find("skip").addEventListener("click", () => {
    document.body.dataset.view = "conversation";
    conversation.composer.focus();
});
find("channels").addEventListener("click", (event) => {
    if (event.target.closest("a, button")) document.body.dataset.view = "conversation";
});

tools();
tabs();
const people = meta("people").split(" ").filter(Boolean);
const before = [tab.get("persona"), browser.get("persona")].find((id) => people.includes(id));
if (people.length === 0) {
    find("main").replaceChildren(
        make("p", { class: "empty" }, "Nobody is in this workspace yet. Reload the page once somebody is."),
    );
} else {
    store.connect(before ?? people[0]);
    moved();
    if (meta("beside") === "yes") host = await mountPanel(find("panel"), page);
}
