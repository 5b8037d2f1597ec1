/* Fields one types into and choices one ticks, as the browser's own controls. Rule: nothing typed is ever cut; what is
 * too long is said, and stays. */

import { combobox } from "./combobox.js";
import { fromLocalInput, localInput } from "./dates.js";
import { common, entryOf, held } from "./fields.js";
import { freshId, make } from "./make.js";
import { many } from "./many.js";
import { menu } from "./menus.js";
import { plain, textObject, textOf } from "./text.js";

const TEXT_KINDS = {
    plain_text_input: { type: "text" },
    number_input: { type: "text", inputmode: "decimal" }, // type=number forgets what it cannot read
    email_text_input: { type: "text", inputmode: "email" },
    url_text_input: { type: "text", inputmode: "url" },
    rich_text_input: {},
};
const PICKERS = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local" };
const NEARLY = 0.8; // of the length allowed, from where on a counter is of use

/** The control of an element, or null when it is no field. */
export function control(element, scope, label) {
    if (Object.hasOwn(TEXT_KINDS, element.type)) return text(element, scope, label);
    if (Object.hasOwn(PICKERS, element.type)) return picker(element, scope, label);
    if (element.type === "checkboxes" || element.type === "radio_buttons") return choices(element, scope, label);
    if (element.type === "file_input") return files(element);
    if (element.type === "external_select") return combobox(element, scope, label);
    if (element.type.startsWith("multi_")) return many(element, scope, label);
    return element.type.endsWith("_select") ? menu(element, scope, label) : null;
}

// --- typing -----------------------------------------------------------------------------------------------------

function text(element, scope, label) {
    const rich = element.type === "rich_text_input";
    const large = rich || element.multiline === true;
    const field = make(large ? "textarea" : "input", {
        ...common(scope, label),
        ...TEXT_KINDS[element.type],
        id: freshId("field"),
        type: large ? null : "text",
        rows: large ? String(element.min_lines ?? 4) : null,
        class: "bk-field",
        dir: "auto",
        autocomplete: "off",
        placeholder: element.placeholder ? textOf(element.placeholder, scope.context) : null,
    });
    const counter = make("p", { class: "bk-counter", role: "status" });
    const get = () => entryOf(element, rich ? richValue(field.value) : field.value || null);
    const set = (entry) => {
        const value = held(entry);
        field.value = rich ? flat(value) : (value ?? "");
        count();
    };
    const count = () => {
        const most = element.max_length;
        const length = [...field.value].length;
        const over = most !== undefined && length > most;
        field.classList.toggle("bk-over", over);
        if (most === undefined || length < most * NEARLY) counter.textContent = "";
        else if (over) counter.textContent = `Too long by ${length - most}: shorten it to ${most} characters.`;
        else counter.textContent = `${length} of ${most} characters`;
    };
    field.addEventListener("input", () => {
        count();
        scope.put(get());
        if (scope.dispatches && triggers(element).includes("on_character_entered")) scope.change(get(), set);
    });
    field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
        if (!scope.dispatches || !triggers(element).includes("on_enter_pressed")) return;
        event.preventDefault();
        scope.change(get(), set);
    });
    set(scope.last);
    return { node: withNotes(field, counter, element, scope), target: field, marks: [field], get, set };
}

function triggers(element) {
    return element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
}

/** The field with what there is to know about it besides its hint. */
function withNotes(field, counter, element, scope) {
    const notes = [];
    if (element.min_length > 1) notes.push(`At least ${element.min_length} characters.`);
    const enter = scope.dispatches && triggers(element).includes("on_enter_pressed");
    if (enter) notes.push("Press Enter to send this field.");
    const note = notes.length ? make("p", { class: "bk-hint", id: freshId("note") }, notes.join(" ")) : null;
    if (note) field.setAttribute("data-note", note.id);
    return make("div", { class: "bk-typed" }, field, note, counter);
}

function richValue(typed) {
    if (typed === "") return null;
    const section = { type: "rich_text_section", elements: [{ type: "text", text: typed }] };
    return { type: "rich_text", elements: [section] };
}

function flat(value) {
    if (value === null || typeof value !== "object") return "";
    if (typeof value.text === "string") return value.text;
    const between = value.type === "rich_text" || value.type === "rich_text_list" ? "\n" : "";
    return (value.elements ?? []).map(flat).join(between);
}

// --- days and times ---------------------------------------------------------------------------------------------

function picker(element, scope, label) {
    const moment = element.type === "datetimepicker";
    const field = make("input", {
        ...common(scope, label),
        id: freshId("field"),
        type: PICKERS[element.type],
        class: "bk-field bk-picker",
    });
    const get = () => entryOf(element, moment ? fromLocalInput(field.value) : field.value || null);
    const set = (entry) => {
        const value = held(entry);
        field.value = moment ? localInput(value ?? "") : (value ?? "");
    };
    set(scope.last);
    field.addEventListener("change", () => {
        if (/^0/.test(field.value) && element.type !== "timepicker") return; // a year half typed
        scope.change(get(), set);
    });
    return { node: field, target: field, marks: [field], get, set };
}

// --- ticking ----------------------------------------------------------------------------------------------------

function choices(element, scope, label) {
    const single = element.type === "radio_buttons";
    const name = freshId("choice");
    const boxes = element.options.map((option) => choice(option, single ? "radio" : "checkbox", name, scope));
    if (boxes.length && element.focus_on_load === true) boxes[0].box.autofocus = true;
    const get = () => {
        const chosen = element.options.filter((_, place) => boxes[place].box.checked);
        return entryOf(element, single ? (chosen[0] ?? null) : chosen);
    };
    const set = (entry) => {
        const chosen = [held(entry)].flat().filter(Boolean).map((option) => option.value);
        boxes.forEach(({ box }, place) => (box.checked = chosen.includes(element.options[place].value)));
    };
    set(scope.last);
    const node = make("div", { class: "bk-choices" }, ...boxes.map((each) => each.node));
    if (label) node.setAttribute("role", single ? "radiogroup" : "group");
    if (label) node.setAttribute("aria-label", label);
    node.addEventListener("change", () => scope.change(get(), set));
    return { node, target: null, role: single ? "radiogroup" : null, marks: boxes.map(({ box }) => box), get, set };
}

function choice(option, type, name, scope) {
    const id = freshId("field");
    const described = option.description ? freshId("description") : null;
    const place = { ...common(scope), autofocus: false };
    const box = make("input", { ...place, id, type, name, value: option.value, "aria-describedby": described });
    const text = make("label", { for: id, dir: "auto" }, textObject(option.text, scope.context));
    const more = described && make("span", { class: "bk-description", id: described, dir: "auto" });
    more?.append(textObject(option.description, scope.context));
    return { box, node: make("div", { class: "bk-choice" }, box, make("span", {}, text, more)) };
}

function files(element) {
    const field = make("input", { id: freshId("field"), type: "file", class: "bk-field", disabled: true });
    const note = make("p", { class: "bk-hint" }, plain("Files cannot be given in this workspace."));
    const entry = entryOf(element, []);
    return { node: make("div", {}, field, note), target: field, marks: [field], get: () => entry, set: () => {} };
}
