/* What menus offer, and the menu for one of many. Rule: it is the browser's own select, so that keyboard, screen
 * reader and telephone know it; what is chosen is in it, even when it is offered no more. */

import { common, entryOf, held } from "./fields.js";
import { freshId, make } from "./make.js";
import { textOf } from "./text.js";

const PATIENCE = 150; // ms of no typing before the app is asked
const LEAST = 3; // characters before the app is asked, unless it says otherwise (docs.slack.dev, select menu)
const FEW = 8; // boxes that need no search

/** What an element lets one choose: [{group, label, value}], `value` being what stands in the entry. */
export function offered(element, context) {
    const kind = element.type.replace(/^multi_/, "");
    if (kind === "users_select") {
        const present = context.people().filter((person) => !person.deleted);
        return present.map((person) => ({ label: `${isolated(person.name)} (@${person.handle})`, value: person.id }));
    }
    if (kind === "channels_select" || kind === "conversations_select") return conversations(kind, element, context);
    const groups = element.option_groups ?? [{ options: element.options ?? [] }];
    return groups.flatMap((group) =>
        group.options.map((option) => ({
            group: group.label ? textOf(group.label, context) : "",
            label: optionText(option, context),
            value: option,
        })),
    );
}

/** An option as one line: its text and, after a dot, its description. */
export function optionText(option, context) {
    const description = option.description ? ` · ${textOf(option.description, context)}` : "";
    return textOf(option.text, context) + description;
}

/** A name between marks of isolation, where no <bdi> can stand: it turns the direction of nothing but itself. */
function isolated(name) {
    return `\u2068${name}\u2069`;
}

const SORTS = { channel: "public", group: "private", im: "im", mpim: "mpim" };

function conversations(kind, element, context) {
    const wanted = kind === "channels_select" ? ["public"] : (element.filter?.include ?? Object.values(SORTS));
    const sort = (one) => (one.kind === "channel" && one.is_private ? "private" : SORTS[one.kind]);
    const fits = (one) =>
        wanted.includes(sort(one)) &&
        !one.is_archived &&
        !(element.filter?.exclude_external_shared_channels && one.is_ext_shared) &&
        !(element.filter?.exclude_bot_users && one.kind === "im" && context.person(one.name)?.is_bot);
    const called = (one) => (one.kind === "im" ? isolated(context.person(one.name)?.name ?? one.name) : `#${one.name}`);
    return context.conversations().filter(fits).map((one) => ({ label: called(one), value: one.id }));
}

/** Whether two values in entries mean the same choice. */
export function same(one, other) {
    const key = (value) => (typeof value === "object" && value !== null ? value.value : value);
    return one !== null && other !== null && key(one) === key(other);
}

/** A select of the browser. */
export function menu(element, scope, label) {
    const field = make("select", { ...common(scope, label), id: freshId("field"), class: "bk-field" });
    let listed = [];
    const fill = () => {
        listed = offered(element, scope.context);
        const chosen = held(scope.last);
        if (chosen !== null && !listed.some(({ value }) => same(value, chosen))) {
            const text = typeof chosen === "object" ? optionText(chosen, scope.context) : String(chosen);
            listed.push({ label: text, value: chosen });
        }
        const nothing = element.placeholder ? textOf(element.placeholder, scope.context) : "Choose…";
        field.replaceChildren(make("option", { value: "" }, nothing), ...grouped(listed));
        select(chosen);
    };
    const select = (chosen) => {
        field.value = chosen === null ? "" : String(listed.findIndex(({ value }) => same(value, chosen)));
    };
    const get = () => entryOf(element, field.value === "" ? null : listed[Number(field.value)].value);
    const set = (entry) => {
        scope.last = entry;
        fill();
    };
    fill();
    // People and channels come and go while the page is open.
    field.addEventListener("focus", () => {
        if (element.type !== "static_select") fill();
    });
    field.addEventListener("change", () => scope.change(get(), set));
    return { node: field, target: field, marks: [field], get, set };
}

function grouped(listed) {
    const nodes = [];
    let open = null;
    listed.forEach(({ group = "", label }, place) => {
        const option = make("option", { value: String(place) }, label);
        if (!group) nodes.push(option);
        else if (open?.label === group) open.append(option);
        else nodes.push((open = make("optgroup", { label: group }, option)));
    });
    return nodes;
}
