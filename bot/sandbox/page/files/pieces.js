/* The rarer blocks: cards, videos, tasks, and the small buttons under a message. Rule: their words and buttons are all
 * there; their ornaments are not. */

import { button } from "./buttons.js";
import { freshId, link, make } from "./make.js";
import { richText } from "./rich.js";
import { textIn, textObject } from "./text.js";

const STATUSES = { pending: "Pending", in_progress: "In progress", complete: "Complete", error: "Failed" };

/** A card; in a carousel its buttons belong to the carousel's block. */
export function card(block, shown, home = block) {
    const line = (key, tag, kind) => textIn(tag, kind, block[key], shown.context);
    const buttons = (block.actions ?? []).map((each) => button(each, { shown, block: block.block_id ? block : home }));
    return make(
        "div",
        { class: "bk-card" },
        line("title", "p", "bk-title"),
        line("subtitle", "p", "bk-small"),
        line("body", "div", "bk-text"),
        buttons.length ? make("div", { class: "bk-actions" }, ...buttons) : null,
    );
}

/** Videos are not played: their title, their words, and the way to them. */
export function video(block, context) {
    const title = make("p", { class: "bk-title", dir: "auto" }, "Video: ", textObject(block.title, context));
    const about = [block.author_name, block.provider_name].filter(Boolean).join(", ");
    return make(
        "div",
        { class: "bk-card" },
        title,
        about ? make("p", { class: "bk-small", dir: "auto" }, about) : null,
        textIn("p", "bk-text", block.description, context),
        make("p", {}, link(block.title_url ?? block.video_url, context, make("bdi", {}, block.alt_text))),
    );
}

/** A task of an agent, and how far it is. */
export function task(block, context) {
    const status = STATUSES[block.status] ?? "Pending";
    const parts = [block.details, block.output].filter((part) => part?.type === "rich_text");
    const title = make("p", { class: "bk-title", dir: "auto" }, `${status}: ${block.title}`);
    return make("div", { class: "bk-card" }, title, ...parts.map((part) => richText(part, context)));
}

/** A plan: its title and its tasks. */
export function plan(block, context) {
    const tasks = Array.isArray(block.tasks) ? block.tasks : [];
    const title = make("p", { class: "bk-title", id: freshId("plan"), dir: "auto" }, block.title);
    const list = make("ol", { class: "bk-list", "aria-labelledby": title.id });
    list.append(...tasks.map((each) => make("li", {}, task(each, context))));
    return make("div", { class: "bk-plan" }, title, list);
}

/** A small button under a message; the icon is named by the text. */
export function iconButton(element, place) {
    const node = button(element, place);
    node.classList.add("bk-quiet");
    return node;
}

/** Two buttons of which one is pressed: both act under the name of the whole. */
export function feedback(element, place) {
    const each = (one) => {
        const node = button({ ...one, action_id: element.action_id ?? one.action_id }, place);
        node.classList.add("bk-quiet");
        return node;
    };
    return make("span", { class: "bk-feedback" }, each(element.positive_button), each(element.negative_button));
}
