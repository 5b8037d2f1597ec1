/* What a word in the composer may become: commands at the start of the line, people and groups after "@", channels after
 * "#". Rule: the list helps and never stands in the way; Escape puts it away, and Enter means it only while it is open.
 * Keys: w3.org/WAI/ARIA/apg/patterns/combobox. The field is a combobox only while there is a list. */

import { freshId, make } from "./make.js";

const MOST = 8;

/** Gives `field` a list; `store` has what can be named. Returns {keydown(event): whether the list took the key, close}. */
export function completion(field, store) {
    const list = make("ul", {
        class: "completion",
        role: "listbox",
        "aria-label": "Suggestions",
        id: freshId("suggestions"),
        hidden: true,
    });
    const told = make("div", { class: "unseen", role: "status" });
    field.before(list, told);
    let offered = [];
    let active = 0;
    let refused = null; // the word for which Escape was pressed

    const close = () => {
        list.hidden = true;
        offered = [];
        for (const name of ["role", "aria-expanded", "aria-controls", "aria-activedescendant", "aria-autocomplete"])
            field.removeAttribute(name);
    };
    const point = (to) => {
        active = (to + offered.length) % offered.length;
        [...list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === active)));
        field.setAttribute("aria-activedescendant", list.children[active].id);
        list.children[active].scrollIntoView({ block: "nearest" });
    };
    const take = (choice) => {
        const { start, end } = wordAt(field);
        field.setRangeText(`${choice.insert} `, start, end, "end");
        close();
        field.dispatchEvent(new Event("input", { bubbles: true }));
        field.focus();
    };
    const look = () => {
        const word = wordAt(field);
        offered = word.text === refused ? [] : choices(store, word).slice(0, MOST);
        if (word.text !== refused) refused = null;
        if (offered.length === 0) {
            close();
            return;
        }
        list.replaceChildren(...offered.map((choice) => item(choice, () => take(choice))));
        list.hidden = false;
        field.setAttribute("role", "combobox");
        field.setAttribute("aria-autocomplete", "list");
        field.setAttribute("aria-expanded", "true");
        field.setAttribute("aria-controls", list.id);
        told.textContent = offered.length === 1 ? "1 suggestion" : `${offered.length} suggestions`;
        point(0);
    };
    field.addEventListener("input", look);
    field.addEventListener("blur", close);
    return {
        close,
        keydown(event) {
            if (list.hidden || event.isComposing) return false;
            const choice = offered[active];
            if (event.key === "ArrowDown") point(active + 1);
            else if (event.key === "ArrowUp") point(active - 1);
            else if (event.key === "Escape") {
                refused = wordAt(field).text;
                close();
            } else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") {
                // A command that is typed out is meant as it stands.
                if (event.key === "Enter" && choice.insert === wordAt(field).text) {
                    close();
                    return false;
                }
                take(choice);
            } else return false;
            event.preventDefault();
            event.stopPropagation();
            return true;
        },
    };
}

function item(choice, take) {
    const on = { mousedown: (event) => event.preventDefault(), click: take }; // the field keeps the focus
    return make(
        "li",
        { class: "completion-item", role: "option", id: freshId("suggestion"), "aria-selected": "false", on },
        make("span", { class: "completion-name", dir: "auto" }, choice.name),
        choice.usage ? make("span", { class: "completion-usage" }, choice.usage) : null,
        choice.about ? make("span", { class: "completion-about", dir: "auto" }, choice.about) : null,
    );
}

/** The word before the caret. */
function wordAt(field) {
    const end = field.selectionStart ?? 0;
    const before = field.value.slice(0, end);
    const start = Math.max(before.lastIndexOf(" "), before.lastIndexOf("\n")) + 1;
    return { start, end, text: before.slice(start) };
}

function choices(store, { start, text }) {
    const typed = text.slice(1).toLowerCase();
    if (start === 0 && text.startsWith("/")) {
        const commands = store.all("command").filter(({ name }) => name.slice(1).toLowerCase().startsWith(typed));
        return commands.map(({ name, usage, description }) => ({ insert: name, name, usage, about: description }));
    }
    if (text.startsWith("@")) {
        const people = store.all("person").filter((person) => !person.deleted);
        const named = people.map(({ handle, name }) => ({ insert: `@${handle}`, name: `@${handle}`, about: name }));
        const groups = store
            .all("group")
            .map(({ handle, name }) => ({ insert: `@${handle}`, name: `@${handle}`, about: `${name} (group)` }));
        return [...named, ...groups].filter(({ name, about }) => fits(typed, name.slice(1), about));
    }
    if (text.startsWith("#")) {
        const channels = store.all("channel").filter(({ kind }) => kind === "channel" || kind === "group");
        return channels
            .map(({ name, topic }) => ({ insert: `#${name}`, name: `#${name}`, about: topic }))
            .filter(({ name }) => fits(typed, name.slice(1), ""));
    }
    return [];
}

function fits(typed, handle, name) {
    return (
        handle.toLowerCase().startsWith(typed) ||
        name
            .toLowerCase()
            .split(/\s+/)
            .some((word) => word.startsWith(typed))
    );
}
