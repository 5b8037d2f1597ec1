/* Several of many: boxes to tick. Rule: what is ticked stays in sight, whatever one searches for. */

import { asker } from "./combobox.js";
import { entryOf, held } from "./fields.js";
import { freshId, make } from "./make.js";
import { offered, optionText, same } from "./menus.js";
import { textOf } from "./text.js";

const FEW = 8; // boxes that need no search

/** The control of every multi_ menu. */
export function many(element, scope, label) {
    const external = element.type === "multi_external_select";
    const most = element.max_selected_items ?? Infinity;
    const boxes = make("div", { class: "bk-choices bk-many" });
    const told = make("p", { class: "bk-hint", role: "status" });
    const named = label ? { role: "group", "aria-label": label } : {};
    const node = make("div", { class: "bk-many-holder", ...named }, boxes, told);
    const marks = [];
    let listed = external ? [] : offered(element, scope.context);
    let chosen = held(scope.last) ?? [];
    let typed = "";

    const get = () => entryOf(element, chosen);
    const set = (entry) => {
        chosen = held(entry) ?? [];
        draw();
    };
    const isChosen = (row) => chosen.some((value) => same(value, row.value));
    const draw = () => {
        const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
        const fits = (row) => external || words.every((word) => row.label.toLowerCase().includes(word));
        const fitting = listed.filter(fits);
        const hidden = chosen.filter((value) => !fitting.some((row) => same(row.value, value)));
        const rows = [...hidden.map((value) => ({ label: called(value), value })), ...fitting];
        const full = chosen.length >= most;
        fill(boxes, rows.map((row) => tickable(row, isChosen(row), full, toggle, scope)));
        if (full) told.textContent = `No more than ${most} can be chosen.`;
        else told.textContent = typed && !rows.length ? "Nothing found." : "";
        marks.splice(0, marks.length, ...boxes.querySelectorAll("input"));
    };
    const called = (value) => {
        const known = listed.find((row) => same(row.value, value));
        return known?.label ?? (typeof value === "object" ? optionText(value, scope.context) : String(value));
    };
    const toggle = (value, on) => {
        chosen = on ? [...chosen, value] : chosen.filter((one) => !same(one, value));
        draw();
        scope.change(get(), set);
    };
    draw();
    if (external || listed.length > FEW) {
        const take = (options) => {
            listed = options.map((option) => ({ label: optionText(option, scope.context), value: option }));
            draw();
        };
        const ask = external ? asker(element, scope, take, (sentence) => (told.textContent = sentence)) : draw;
        const search = searchField(element, scope, label);
        search.addEventListener("input", () => {
            typed = search.value;
            ask(typed);
        });
        if (external) search.addEventListener("focus", () => ask(search.value), { once: true });
        node.prepend(search);
    }
    return { node, target: null, role: null, marks, get, set };
}

function searchField(element, scope, label) {
    const placeholder = element.placeholder ? textOf(element.placeholder, scope.context) : "Type to search";
    const name = { "aria-label": label ? `Search: ${label}` : placeholder, placeholder };
    const keydown = (event) => event.key === "Enter" && event.preventDefault(); // it would send the form
    return make("input", { class: "bk-field", type: "search", ...name, dir: "auto", on: { keydown } });
}

/** New rows for old; the box that had the focus has it again. */
function fill(holder, rows) {
    const focused = holder.contains(document.activeElement) ? document.activeElement.dataset.value : undefined;
    holder.replaceChildren(...rows);
    if (focused !== undefined) holder.querySelector(`[data-value="${CSS.escape(focused)}"]`)?.focus();
}

function tickable({ label, value }, ticked, full, toggle, scope) {
    const id = freshId("field");
    const box = make("input", {
        id,
        type: "checkbox",
        disabled: full && !ticked,
        "data-block": scope.block.block_id,
        "data-action": scope.element.action_id,
        "data-value": typeof value === "object" ? value.value : value,
        on: { change: () => toggle(value, box.checked) },
    });
    box.checked = ticked;
    return make("div", { class: "bk-choice" }, box, make("label", { for: id, dir: "auto" }, label));
}
