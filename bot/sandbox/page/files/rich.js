/* Rich text: structure that came as structure. Rule: its texts are text to the letter; only its own links, names and
 * emoji come alive. */

import { machineTime } from "./dates.js";
import { sign } from "./emoji.js";
import { link, make, together } from "./make.js";
import { dateNode, emojiNode, nameNode } from "./text.js";

const STYLES = { bold: "strong", italic: "em", strike: "s", underline: "u", highlight: "mark", code: "code" };

/** A rich_text block, part by part. */
export function richText(block, context) {
    const whole = make("div", { class: "bk-rich", dir: "auto" });
    for (const part of block.elements) whole.append(partNode(part, context));
    return whole;
}

function partNode(part, context) {
    const inner = () => run(part.elements, context);
    switch (part.type) {
        case "rich_text_section":
            return make("div", { class: "bk-paragraph", dir: "auto" }, inner());
        case "rich_text_quote":
            return make("blockquote", { class: "bk-quote", dir: "auto" }, inner());
        case "rich_text_preformatted":
            return make("pre", { class: "bk-pre", tabindex: "0" }, make("code", { dir: "auto" }, inner()));
        case "rich_text_list":
            return listNode(part, context);
        default:
            return make("div", { class: "bk-unknown" }, `Cannot show rich text of type ${part.type}.`);
    }
}

function listNode(part, context) {
    const ordered = part.style === "ordered";
    const start = ordered && part.offset ? String(part.offset + 1) : null;
    const level = `bk-indent-${Math.min(part.indent ?? 0, 8)}`;
    const list = make(ordered ? "ol" : "ul", { class: `bk-list ${level}`, start, dir: "auto" });
    for (const item of part.elements) list.append(make("li", {}, run(item.elements, context)));
    return list;
}

function run(pieces, context) {
    return together(...pieces.map((piece) => styled(pieceNode(piece, context), piece.style ?? {})));
}

function styled(node, style) {
    return Object.entries(STYLES).reduce(
        (inner, [name, tag]) => (style[name] ? make(tag, { class: `bk-${name}` }, inner) : inner),
        node,
    );
}

function pieceNode(piece, context) {
    switch (piece.type) {
        case "text":
            return broken(piece.text);
        case "link":
            return link(piece.url, context, make("bdi", {}, piece.text || piece.url));
        case "user":
            return nameNode(`@${piece.user_id}`, "", context);
        case "usergroup":
            return nameNode(`!${piece.usergroup_id}`, "", context);
        case "channel":
            return nameNode(`#${piece.channel_id}`, "", context);
        case "broadcast":
            return make("span", { class: "bk-mention bk-mention-me" }, `@${piece.range}`);
        case "emoji":
            return emoji(piece);
        case "date":
            return date(piece, context);
        case "color":
            return make("code", { class: "bk-code" }, piece.value);
        case "team":
            return together(piece.team_id);
        default:
            return make("span", { class: "bk-unknown" }, `[${piece.type}]`);
    }
}

function emoji(piece) {
    if (sign(piece.name) !== undefined || !/^[0-9a-f]+(-[0-9a-f]+)*$/i.test(piece.unicode ?? "")) {
        return emojiNode(piece.name);
    }
    const points = piece.unicode.split("-").map((point) => Number.parseInt(point, 16));
    if (points.some((point) => point > 0x10ffff)) return emojiNode(piece.name);
    return make("span", { class: "bk-emoji", role: "img", "aria-label": piece.name }, String.fromCodePoint(...points));
}

function date(piece, context) {
    const fallback = piece.fallback ?? machineTime(piece.timestamp) ?? "";
    return dateNode(String(piece.timestamp), piece.format, fallback, piece.url ?? "", context);
}

function broken(text) {
    return make("span", { class: "bk-text" }, text); // white-space: pre-wrap keeps its lines
}
