/* One block as an entry {node, fields, update}. Rule: every kind that a workspace takes is shown; of a kind that is
 * not known a reader learns that something is there. */

import { button, overflow } from "./buttons.js";
import { isField, Scope } from "./fields.js";
import { control } from "./inputs.js";
import { labelled } from "./labelled.js";
import { link, make, safeAddress, together } from "./make.js";
import { markdown } from "./markdown.js";
import { card, feedback, iconButton, plan, task, video } from "./pieces.js";
import { richText } from "./rich.js";
import { chart, dataTable, table } from "./tables.js";
import { textIn, textObject, textOf } from "./text.js";

const LEVELS = { info: "Note", warning: "Warning", error: "Error", success: "Done" };
const PICTURES = /^data:image\/(png|jpeg|gif|webp)[;,]/;

/** The entry of a block. `shown` holds the newest context and what was typed into blocks that leave. */
export function layout(block, shown) {
    const fields = [];
    const node = blockNode(block, shown, fields);
    return { node, fields, update: (newer, context) => fields.forEach((field) => refresh(field, newer, context)) };
}

/** A field whose block came again: its error, and, if nobody has touched it, what it holds. */
function refresh({ scope, control: field, tell }, newer, context) {
    const [block, element] = found(newer, scope) ?? [scope.block, scope.element];
    scope.block = block;
    scope.element = element;
    tell?.(context.errors?.[block.block_id]);
    const known = scope.known();
    if (scope.touched || JSON.stringify(known) === JSON.stringify(scope.last)) return;
    scope.last = known;
    field.set(known);
}

function found(block, { block: { block_id: id }, element: { action_id: action } }) {
    const inside = [block.element, block.accessory, ...(block.elements ?? [])];
    const element = block.block_id === id && inside.find((one) => one?.action_id === action);
    if (element) return [block, element];
    for (const child of block.child_blocks ?? []) {
        const deeper = found(child, { block: { block_id: id }, element: { action_id: action } });
        if (deeper) return deeper;
    }
    return null;
}

function blockNode(block, shown, fields) {
    const { context } = shown;
    switch (block.type) {
        case "section":
            return section(block, shown, fields);
        case "header":
            return textIn("h3", "bk-header", block.text, context);
        case "divider":
            return make("hr", { class: "bk-divider" });
        case "context":
            return row("bk-context", block.elements, (each) => contextPart(each, context));
        case "actions":
        case "context_actions":
            return row("bk-actions", block.elements, (each) => part(each, block, shown, fields));
        case "input":
            return input(block, shown, fields);
        case "image":
            return picture(block, context);
        case "rich_text":
            return richText(block, context);
        case "markdown":
            return markdown(block.text, context);
        case "alert":
            return alert(block, context);
        case "table":
            return table(block, context);
        case "data_table":
            return dataTable(block, context);
        case "data_visualization":
            return chart(block);
        case "container":
            return containerNode(block, shown, fields);
        case "card":
            return card(block, shown);
        case "carousel":
            return row("bk-carousel", block.elements, (each) => card(each, shown, block));
        case "video":
            return video(block, context);
        case "task_card":
            return task(block, context);
        case "plan":
            return plan(block, context);
        default:
            return unknown("block", block.type);
    }
}

function row(className, elements, build) {
    return make("div", { class: className }, ...elements.map(build));
}

function unknown(what, type) {
    return make("p", { class: "bk-unknown", dir: "auto" }, `Cannot show a ${what} of type ${type}.`);
}

function section(block, shown, fields) {
    const { context } = shown;
    const text = textIn("div", "bk-text", block.text, context);
    const facts = block.fields && row("bk-facts", block.fields, (fact) => textIn("div", "bk-fact", fact, context));
    const body = make("div", { class: "bk-body" }, text, facts);
    if (!block.accessory) return make("div", { class: "bk-section" }, body);
    const beside = make("div", { class: "bk-accessory" }, part(block.accessory, block, shown, fields));
    return make("div", { class: "bk-section" }, body, beside);
}

function contextPart(element, context) {
    if (element.type === "image") return picture(element, context, "bk-small-image");
    return textIn("span", "bk-small", element, context);
}

/** An element in an actions block or beside a section: fields there have no label but their placeholder. */
function part(element, block, shown, fields) {
    const label = nameOf(element, block, shown.context);
    if (isField(element)) return fieldIn(element, block, shown, fields, label).control.node;
    switch (element.type) {
        case "button":
            return button(element, { shown, block });
        case "overflow":
            return overflow(element, { shown, block, label: label || "More actions" });
        case "image":
            return picture(element, shown.context, "bk-thumbnail");
        case "icon_button":
            return iconButton(element, { shown, block });
        case "feedback_buttons":
            return feedback(element, { shown, block });
        case "workflow_button":
            return unknown("button", `${element.type} (${textOf(element.text, shown.context)})`);
        default:
            return unknown("element", element.type);
    }
}

function nameOf(element, block, context) {
    if (element.placeholder) return textOf(element.placeholder, context);
    if (block.type === "section" && block.text) return textOf(block.text, context).slice(0, 150);
    return isField(element) ? element.action_id : "";
}

function fieldIn(element, block, shown, fields, label) {
    const carried = shown.carried?.get(`${block.block_id}\n${element.action_id}\n${element.type}`);
    const scope = new Scope(shown, block, element, carried);
    const field = { scope, control: control(element, scope, label) };
    fields.push(field);
    return field;
}

function input(block, shown, fields) {
    if (!isField(block.element)) return unknown("field", block.element.type);
    const field = fieldIn(block.element, block, shown, fields);
    const { node, tell } = labelled(block, field.control, shown.context);
    field.tell = tell;
    return node;
}

function alert(block, context) {
    const level = Object.hasOwn(LEVELS, block.level) ? block.level : "default";
    const word = LEVELS[level] ? make("strong", {}, `${LEVELS[level]}: `) : null;
    const text = make("div", { dir: "auto" }, word, textObject(block.text, context));
    return make("div", { class: `bk-alert bk-alert-${level}` }, text);
}

function containerNode(block, shown, fields) {
    const { context } = shown;
    const title = textIn("span", "bk-title", block.title, context);
    const heading = block.rich_text_title ? richText(block.rich_text_title, context) : title;
    const under = textIn("span", "bk-small", block.subtitle, context);
    const children = (block.child_blocks ?? []).map((child) => blockNode(child, shown, fields));
    const attributes = { class: `bk-container bk-width-${block.width ?? "standard"}` };
    if (!block.is_collapsible) return make("div", attributes, heading, under, ...children);
    const summary = make("summary", {}, heading ?? "Details", under);
    return make("details", { ...attributes, open: block.default_collapsed !== true }, summary, ...children);
}

/** Pictures of this page only: nothing is fetched from elsewhere. Of others one reads what they show. */
function picture(block, context, kind = "bk-image") {
    const address = block.image_url ?? block.slack_file?.url ?? "";
    const title = textIn("figcaption", "bk-title", block.title, context);
    const shown = isOurs(address)
        ? make("img", { class: kind, src: address, alt: block.alt_text })
        : together(
              make("span", { class: "bk-absent-image", dir: "auto" }, `Picture: ${block.alt_text}`),
              safeAddress(address) && make("span", { class: "bk-small" }, " ", link(address, context, "open")),
          );
    return title ? make("figure", {}, title, shown) : make("span", { class: "bk-picture" }, shown);
}

function isOurs(address) {
    if (PICTURES.test(address)) return true;
    try {
        return new URL(address).origin === location.origin;
    } catch {
        return false;
    }
}
