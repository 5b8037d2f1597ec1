/* The markdown block: headings, lists, quotes, code, emphasis and links of common Markdown, as nodes.
 * Rule: HTML in it is text, and what this file does not know stands there as it was written. */

import { link, make, safeAddress, together } from "./make.js";

const INLINE = new RegExp(
    [
        /`([^`\n]+)`/, // code
        /\[([^\]\n]+)\]\(([^()\s]+)\)/, // [label](address)
        /\*\*(?=\S)([^\n]*?\S)\*\*/, // **bold**
        /~~(?=\S)([^\n]*?\S)~~/, // ~~struck~~
        /(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?!\w)/, // *italic*
        /(?<!\w)_(?=[^\s_])([^_\n]*[^\s_])_(?!\w)/, // _italic_
    ]
        .map((form) => form.source)
        .join("|"),
    "g",
);
const DEEPEST = 4;

/** The text of a markdown block. */
export function markdown(text, context) {
    const whole = make("div", { class: "bk-markdown", dir: "auto" });
    const lines = text.split("\n");
    for (let at = 0; at < lines.length; ) {
        const [node, next] = blockAt(lines, at, context);
        if (node) whole.append(node);
        at = next;
    }
    return whole;
}

function blockAt(lines, at, context) {
    const line = lines[at];
    if (line.trim() === "") return [null, at + 1];
    if (line.startsWith("```")) return fenced(lines, at);
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (heading) return [title(heading[1].length, heading[2], context), at + 1];
    if (/^ {0,3}([-*_])( *\1){2,}\s*$/.test(line)) return [make("hr", { class: "bk-divider" }), at + 1];
    for (const [tag, start] of STARTS) if (start.test(line)) return gathered(tag, start, lines, at, context);
    return paragraph(lines, at, context);
}

const STARTS = [
    ["blockquote", /^> ?/],
    ["ul", /^\s*[-*+]\s+/],
    ["ol", /^\s*\d{1,9}[.)]\s+/],
];

function fenced(lines, at) {
    let end = at + 1;
    while (end < lines.length && !lines[end].startsWith("```")) end += 1;
    const code = lines.slice(at + 1, end).join("\n");
    return [make("pre", { class: "bk-pre", tabindex: "0" }, make("code", { dir: "auto" }, code)), end + 1];
}

/** Headings of a message stand below those of the page; what they are to the eye is a matter of style. */
function title(level, text, context) {
    const rank = String(Math.min(level + 3, 6));
    return make("p", { class: "bk-heading", role: "heading", "aria-level": rank }, inline(text, context));
}

function gathered(tag, start, lines, at, context) {
    const holder = make(tag, { class: tag === "blockquote" ? "bk-quote" : "bk-list", dir: "auto" });
    let next = at;
    for (; next < lines.length && start.test(lines[next]); next += 1) {
        const inner = inline(lines[next].replace(start, ""), context);
        if (tag !== "blockquote") holder.append(make("li", {}, inner));
        else holder.append(...(next > at ? [make("br")] : []), inner);
    }
    return [holder, next];
}

function paragraph(lines, at, context) {
    const holder = make("p", { class: "bk-paragraph", dir: "auto" });
    let next = at;
    do {
        if (next > at) holder.append(make("br"));
        holder.append(inline(lines[next], context));
        next += 1;
    } while (next < lines.length && lines[next].trim() !== "" && !special(lines[next]));
    return [holder, next];
}

function special(line) {
    return /^(```|#{1,6}\s)/.test(line) || STARTS.some(([, start]) => start.test(line));
}

function inline(text, context, depth = 0) {
    if (depth > DEEPEST) return together(text);
    const whole = together();
    let position = 0;
    for (const found of text.matchAll(INLINE)) {
        whole.append(text.slice(position, found.index), marked(found, context, depth + 1));
        position = found.index + found[0].length;
    }
    whole.append(text.slice(position));
    return whole;
}

function marked([all, code, label, address, bold, struck, italic, italicToo], context, depth) {
    if (code !== undefined) return make("code", { class: "bk-code" }, code);
    if (label !== undefined) {
        return safeAddress(address) === null ? make("bdi", {}, all) : link(address, context, make("bdi", {}, label));
    }
    if (bold !== undefined) return make("strong", {}, inline(bold, context, depth));
    if (struck !== undefined) return make("s", {}, inline(struck, context, depth));
    return make("em", {}, inline(italic ?? italicToo, context, depth));
}
