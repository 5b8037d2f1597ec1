/* One of many, found by typing: the app gives the options. Rule: only the answer to the last question counts, and
 * leaving or Escape brings back what was chosen. Keys: w3.org/WAI/ARIA/apg/patterns/combobox. */

import { common, entryOf, held } from "./fields.js";
import { freshId, make } from "./make.js";
import { optionText } from "./menus.js";
import { textOf } from "./text.js";

const PATIENCE = 150; // ms of no typing before the app is asked
const LEAST = 3; // characters before the app is asked, unless it says otherwise (docs.slack.dev, select menu)

/** The control of an external_select. */
export function combobox(element, scope, label) {
    const list = make("ul", {
        class: "bk-options",
        role: "listbox",
        id: freshId("list"),
        hidden: true,
        "aria-label": "Options",
    });
    const told = make("p", { class: "bk-hint", role: "status" });
    const field = make("input", {
        ...common(scope, label),
        id: freshId("field"),
        class: "bk-field",
        type: "text",
        role: "combobox",
        autocomplete: "off",
        dir: "auto",
        "aria-autocomplete": "list",
        "aria-expanded": "false",
        "aria-controls": list.id,
        placeholder: element.placeholder ? textOf(element.placeholder, scope.context) : null,
    });
    let found = [];
    let active = -1;
    const name = () => {
        const chosen = held(scope.last);
        return chosen === null ? "" : optionText(chosen, scope.context);
    };
    const show = (open) => {
        list.hidden = !open;
        field.setAttribute("aria-expanded", String(open));
        if (!open) point(-1);
    };
    const point = (to) => {
        active = to;
        [...list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === to)));
        if (to < 0) field.removeAttribute("aria-activedescendant");
        else field.setAttribute("aria-activedescendant", list.children[to].id);
        list.children[to]?.scrollIntoView({ block: "nearest" });
    };
    const take = (option) => {
        const entry = entryOf(element, option);
        const before = scope.last;
        scope.last = entry;
        field.value = name();
        scope.last = before;
        show(false);
        told.textContent = "";
        scope.change(entry, set);
    };
    const fill = (options) => {
        found = options;
        const item = (option) => suggestion(optionText(option, scope.context), () => take(option));
        list.replaceChildren(...options.map(item));
        show(options.length > 0);
        told.textContent = options.length ? `${options.length} found` : "Nothing found. Type something else.";
    };
    const ask = asker(element, scope, fill, (sentence) => {
        show(false);
        told.textContent = sentence;
    });
    const set = (entry) => {
        scope.last = entry;
        field.value = name();
    };
    set(scope.last);
    field.addEventListener("input", () => ask(field.value));
    field.addEventListener("click", () => list.hidden && ask(""));
    field.addEventListener("blur", () => {
        ask.stop();
        if (field.value === "" && held(scope.last) !== null) scope.change(entryOf(element, null), set);
        else field.value = name();
        show(false);
        told.textContent = "";
    });
    field.addEventListener("keydown", (event) => {
        const open = !list.hidden;
        if (event.key === "ArrowDown" && !open) ask("");
        else if (event.key === "ArrowDown") point((active + 1) % found.length);
        else if (event.key === "ArrowUp" && open) point(active <= 0 ? found.length - 1 : active - 1);
        else if (event.key === "Enter" && open && active >= 0) take(found[active]);
        else if (event.key === "Escape" && (open || field.value !== name())) {
            field.value = name();
            show(false);
        } else return;
        event.preventDefault(); // Escape closes the list, not the window
        event.stopPropagation();
    });
    const node = make("div", { class: "bk-combobox" }, field, list, told);
    return { node, target: field, marks: [field], get: () => scope.last, set };
}

function suggestion(text, take) {
    const on = { mousedown: (event) => event.preventDefault(), click: take }; // the field keeps the focus
    const attributes = { class: "bk-option", role: "option", id: freshId("option"), "aria-selected": "false" };
    return make("li", { ...attributes, dir: "auto", on }, text);
}

/** Asks the app for options once typing rests; only the answer to the last question counts. */
export function asker(element, scope, fill, say) {
    let asked = 0;
    let timer;
    const least = element.min_query_length ?? LEAST;
    const ask = (typed) => {
        asked += 1;
        const mine = asked;
        clearTimeout(timer);
        if ([...typed].length < least) {
            say(`Type at least ${least} characters.`);
            return;
        }
        timer = setTimeout(async () => {
            try {
                const options = await scope.context.suggest(scope.block.block_id, element.action_id, typed);
                if (mine === asked) fill(options ?? []);
            } catch (error) {
                if (mine === asked) say(`The options could not be fetched (${error.message}). Type again.`);
            }
        }, PATIENCE);
    };
    ask.stop = () => {
        asked += 1;
        clearTimeout(timer);
    };
    return ask;
}
