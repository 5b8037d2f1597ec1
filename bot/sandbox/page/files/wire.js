/* The wire inspector: what the workspace and its apps say to each other. Rule: the newest is first and what is chosen stays
 * chosen while more comes. */

import { wholeMoment } from "./dates.js";
import { icon } from "./icons.js";
import { freshId, make } from "./make.js";

const DIRECTIONS = { "": "Both directions", to_slack: "App to workspace", to_app: "Workspace to app" };
const WORDS = { to_slack: "app to workspace", to_app: "workspace to app" };

export class Wire {
    #page;
    #filter = make("input", {
        type: "search",
        class: "field",
        id: freshId("filter"),
        placeholder: "Method or content",
        autocomplete: "off",
    });
    #direction = make(
        "select",
        { class: "field", id: freshId("direction") },
        ...Object.entries(DIRECTIONS).map(([value, text]) => make("option", { value }, text)),
    );
    #list = make("ul", { class: "exchanges", role: "listbox", tabindex: "0", "aria-label": "Exchanges, newest first" });
    #detail = make("div", { class: "exchange", tabindex: "0", role: "region", "aria-label": "The exchange chosen" });
    #count = make("p", { class: "hint", role: "status" });
    #rows = new Map(); // id -> {node, value}
    #chosen = null;

    constructor(page) {
        this.#page = page;
        const close = make(
            "button",
            {
                type: "button",
                class: "quiet-button",
                "aria-label": "Close the wire inspector",
                on: { click: () => page.leaveWire() },
            },
            icon("close"),
        );
        const filters = make(
            "div",
            { class: "wire-filters" },
            make("label", { class: "unseen", for: this.#filter.id }, "Filter"),
            this.#filter,
            make("label", { class: "unseen", for: this.#direction.id }, "Direction"),
            this.#direction,
            this.#count,
        );
        this.node = make(
            "div",
            { class: "wire" },
            make(
                "div",
                { class: "head" },
                make(
                    "div",
                    { class: "head-text" },
                    make("h1", { class: "head-title", tabindex: "-1" }, "Wire"),
                    make(
                        "p",
                        { class: "head-topic" },
                        "What the workspace and its apps say to each other. Tokens and secrets are hidden.",
                    ),
                ),
                close,
            ),
            filters,
            make("div", { class: "wire-split" }, this.#list, this.#detail),
        );
        this.#filter.addEventListener("input", () => this.draw());
        this.#direction.addEventListener("change", () => this.draw());
        this.#list.addEventListener("keydown", (event) => this.#key(event));
        this.#list.addEventListener("focus", () => this.#chosen ?? this.#choose(this.#ids()[0]));
        page.store.on("exchange", () => this.#soon());
        page.store.on("reset", () => this.#rows.clear());
    }

    #waiting = false;

    #soon() {
        if (this.#waiting || this.#page.place.view !== "wire") return;
        this.#waiting = true;
        requestAnimationFrame(() => {
            this.#waiting = false;
            this.draw();
        });
    }

    draw() {
        const all = this.#page.store.all("exchange").sort((a, b) => Number(b.id) - Number(a.id));
        const wanted = this.#filter.value.trim().toLowerCase();
        const direction = this.#direction.value;
        const shown = all.filter(
            (exchange) =>
                (direction === "" || exchange.direction === direction) && (wanted === "" || matches(exchange, wanted)),
        );
        this.#count.textContent =
            shown.length === all.length ? `${all.length} exchanges` : `${shown.length} of ${all.length}`;
        this.#list.replaceChildren(...shown.map((exchange) => this.#row(exchange)));
        if (this.#chosen !== null && !this.#page.store.get("exchange", this.#chosen)) this.#chosen = null;
        this.#choose(this.#chosen);
    }

    #row(exchange) {
        const kept = this.#rows.get(exchange.id);
        if (kept?.value === exchange) return kept.node;
        const what = kind(exchange);
        const node = make(
            "li",
            {
                class: "exchange-row",
                role: "option",
                id: `exchange-${exchange.id}`,
                "aria-selected": "false",
                "data-id": exchange.id,
                on: { click: () => this.#choose(exchange.id) },
            },
            make(
                "span",
                { class: `arrow ${exchange.direction}`, "aria-hidden": "true" },
                exchange.direction === "to_app" ? "→" : "←",
            ),
            make("span", { class: "unseen" }, WORDS[exchange.direction]),
            make(
                "span",
                { class: "exchange-method" },
                exchange.method,
                what ? make("span", { class: "exchange-kind" }, what) : null,
            ),
            make("span", { class: `state ${state(exchange)}` }, stateWord(exchange)),
            make("span", { class: "exchange-time" }, seconds(exchange.at)),
        );
        this.#rows.set(exchange.id, { node, value: exchange });
        return node;
    }

    #ids() {
        return [...this.#list.children].map((row) => row.dataset.id);
    }

    #choose(id) {
        this.#chosen = id ?? null;
        for (const row of this.#list.children)
            row.setAttribute("aria-selected", String(row.dataset.id === this.#chosen));
        const row = this.#list.querySelector(`[data-id="${this.#chosen}"]`);
        if (row) this.#list.setAttribute("aria-activedescendant", row.id);
        else this.#list.removeAttribute("aria-activedescendant");
        const exchange = this.#page.store.get("exchange", this.#chosen);
        if (this.#detail.dataset.drawn === `${this.#chosen} ${exchange?.status} ${exchange?.answer === null}`) return;
        this.#detail.dataset.drawn = `${this.#chosen} ${exchange?.status} ${exchange?.answer === null}`;
        this.#detail.replaceChildren(
            ...(exchange ? details(exchange) : [make("p", { class: "empty" }, "Choose an exchange to read it.")]),
        );
        this.#detail.scrollTop = 0;
    }

    #key(event) {
        const ids = this.#ids();
        const at = ids.indexOf(this.#chosen);
        const to = {
            ArrowDown: at + 1,
            ArrowUp: at - 1,
            Home: 0,
            End: ids.length - 1,
            PageDown: at + 10,
            PageUp: at - 10,
        }[event.key];
        if (to === undefined || ids.length === 0) return;
        event.preventDefault();
        this.#choose(ids[Math.max(0, Math.min(to, ids.length - 1))]);
        this.#list.querySelector(`[data-id="${this.#chosen}"]`)?.scrollIntoView({ block: "nearest" });
    }
}

/** What an envelope is about: the event's type, the command, the interaction. */
function kind({ args }) {
    return args?.event?.type ?? args?.command ?? (args?.type === "event_callback" ? "" : args?.type) ?? "";
}

function matches(exchange, wanted) {
    const text = `${exchange.method} ${kind(exchange)} ${exchange.status ?? ""}`.toLowerCase();
    return text.includes(wanted) || JSON.stringify([exchange.args, exchange.answer]).toLowerCase().includes(wanted);
}

function state({ ok }) {
    return ok === null ? "waiting" : ok ? "good" : "bad";
}

function stateWord({ ok, status, answer }) {
    if (ok === null) return "no answer";
    if (!ok) return answer?.error ?? String(status);
    return "ok";
}

function seconds(at) {
    return new Date(at * 1000).toLocaleTimeString(undefined, { hour12: false });
}

function details(exchange) {
    const { direction, method, at, status, args, answer } = exchange;
    const facts = [WORDS[direction], wholeMoment(at), status === null ? null : `HTTP ${status}`, stateWord(exchange)]
        .filter(Boolean)
        .join(" · ");
    return [
        make("h2", {}, method),
        make("p", { class: "hint" }, facts),
        make("h3", {}, direction === "to_app" ? "Payload" : "Arguments"),
        json(args),
        make("h3", {}, "Answer"),
        answer === null ? make("p", { class: "hint" }, "None came back.") : json(answer),
    ];
}

/** JSON with keys, texts and numbers told apart. */
function json(value) {
    const pre = make("pre", { class: "json" });
    const text = JSON.stringify(value, null, 2) ?? "null";
    let position = 0;
    for (const found of text.matchAll(/("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?/g)) {
        pre.append(text.slice(position, found.index));
        const tone = found[2] ? "json-key" : found[1] ? "json-text" : "json-other";
        pre.append(make("span", { class: tone }, found[1] ?? found[0]), found[2] ?? "");
        position = found.index + found[0].length;
    }
    pre.append(text.slice(position));
    return pre;
}
