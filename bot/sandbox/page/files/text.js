/* Slack's mrkdwn and plain text as nodes. Rules: text is parsed, never inserted as mark-up; what is not understood
 * stands there as it was written; a name or a label cannot turn the direction of what surrounds it (<bdi>).
 *
 * Stored text has `&amp; &lt; &gt;` for bare signs, so that a `<...>` is always an entity
 * (docs.slack.dev/messaging/formatting-message-text). */

import { machineTime, slackDate, wholeMoment } from "./dates.js";
import { sign } from "./emoji.js";
import { link, make, safeAddress, together } from "./make.js";

const PIECE = /<([^<>\n]+)>|`([^`\n]+)`|:([a-z0-9_+'-]+):/g;
const FENCE = /```\n?([\s\S]+?)```/g;
const MARKS = { "*": "strong", _: "em", "~": "s" };
const WORD = /[\p{L}\p{N}]/u;
const BULLET = /^(\s*)[•◦▪-]\s+(?=\S)/;
const BROADCASTS = new Set(["here", "channel", "everyone"]);

/** Entities back to what they stand for; once, so that `&amp;lt;` stays `&lt;`. */
export function decoded(text) {
    return text.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
}

/** Stored mrkdwn as nodes: quotes, lists, preformatted text, and in them marks, links, mentions, dates, emoji. */
export function mrkdwn(text, context) {
    const whole = together();
    let position = 0;
    for (const fence of text.matchAll(FENCE)) {
        whole.append(lines(text.slice(position, fence.index).replace(/\n$/, ""), context));
        const code = literal(fence[1].replace(/\n$/, ""), context);
        whole.append(make("pre", { class: "bk-pre" }, make("code", { dir: "auto" }, code)));
        position = fence.index + fence[0].length;
        if (text[position] === "\n") position += 1;
    }
    whole.append(lines(text.slice(position), context));
    return whole;
}

/** Plain text as nodes: only emoji, and line breaks. */
export function plain(text, context, { emoji = true } = {}) {
    const shown = decoded(text);
    if (!emoji) return broken(shown);
    const whole = together();
    let position = 0;
    for (const found of shown.matchAll(/:([a-z0-9_+'-]+):/g)) {
        if (sign(found[1]) === undefined) continue;
        whole.append(broken(shown.slice(position, found.index)), emojiNode(found[1]));
        position = found.index + found[0].length;
    }
    whole.append(broken(shown.slice(position)));
    return whole;
}

/** A text object of either kind. */
export function textObject(object, context) {
    return object.type === "mrkdwn" ? mrkdwn(object.text, context) : plain(object.text, context, object);
}

/** A text object in an element of its own, which has its own direction; null for no text object. */
export function textIn(tag, className, object, context) {
    return object ? make(tag, { class: className, dir: "auto" }, textObject(object, context)) : null;
}

/** A text object as a string, for labels and titles. */
export function textOf(object, context) {
    return textObject(object, context).textContent;
}

/** What a message says, on one line: its text, which says everything, or the text of its blocks without one. */
export function spoken(message, context) {
    const holder = make("span", {}, mrkdwn(message.text || blocksText(message.blocks ?? []), context));
    for (const part of holder.querySelectorAll("br, li, pre, blockquote")) part.before(" ");
    return holder.textContent.replace(/\s+/g, " ").trim();
}

function blocksText(value) {
    if (Array.isArray(value)) return value.map(blocksText).filter(Boolean).join("\n");
    if (typeof value !== "object" || value === null) return "";
    if (typeof value.text === "string") return value.text;
    return Object.entries(value)
        .filter(([key]) => key !== "confirm" && key !== "options")
        .map(([, part]) => blocksText(part))
        .filter(Boolean)
        .join(" ");
}

/** Names of people, groups and channels may arrive after the text that mentions them. */
export function refreshNames(root, context) {
    for (const name of root.querySelectorAll("[data-names]")) {
        const shown = named(name.dataset.names, context);
        if (shown && name.textContent !== shown) name.textContent = shown;
    }
}

// --- lines ------------------------------------------------------------------------------------------------------

function lines(text, context) {
    const whole = together();
    if (text === "") return whole;
    let open = null; // the list or quotation that the next line may belong to
    let before = false;
    for (const line of text.split("\n")) {
        const [kind, rest] = lineKind(line);
        if (kind === null) {
            if (before) whole.append(make("br"));
            whole.append(inline(rest, context));
            before = true;
            open = null;
            continue;
        }
        if (open?.localName !== kind) {
            open = make(kind, { class: kind === "ul" ? "bk-list" : "bk-quote", dir: "auto" });
            whole.append(open);
        } else if (kind === "blockquote") {
            open.append(make("br"));
        }
        open.append(kind === "ul" ? make("li", {}, inline(rest, context)) : inline(rest, context));
        before = false;
    }
    return whole;
}

function lineKind(line) {
    if (/^(&gt;|>)/.test(line)) return ["blockquote", line.replace(/^(&gt;|>)\s?/, "")];
    const bullet = BULLET.exec(line);
    return bullet ? ["ul", line.slice(bullet[0].length)] : [null, line];
}

// --- within a line ----------------------------------------------------------------------------------------------

/** Atoms are single characters and finished nodes; marks are looked for among the characters only, so that an
 * asterisk inside a link or inside code stays one. */
function inline(text, context) {
    const atoms = [];
    let position = 0;
    for (const found of text.matchAll(PIECE)) {
        const node = pieceNode(found, context);
        if (node === null) continue;
        atoms.push(...text.slice(position, found.index), node);
        position = found.index + found[0].length;
    }
    atoms.push(...text.slice(position));
    return marked(atoms, 0, atoms.length, "");
}

function pieceNode([, entity, code, emoji], context) {
    if (entity !== undefined) return entityNode(entity, context);
    if (code !== undefined) return make("code", { class: "bk-code", dir: "auto" }, literal(code, context));
    return sign(emoji) === undefined ? null : emojiNode(emoji);
}

function marked(atoms, from, to, active) {
    const whole = together();
    const hopeless = new Set(); // marks without a partner further on: looking again would cost the square
    let run = "";
    const flush = () => {
        if (run) whole.append(decoded(run));
        run = "";
    };
    for (let at = from; at < to; at += 1) {
        const atom = atoms[at];
        const tag = typeof atom === "string" ? MARKS[atom] : undefined;
        const opens = tag && !active.includes(atom) && !hopeless.has(atom);
        const partner = opens ? closing(atoms, at, from, to, hopeless) : -1;
        if (partner > at) {
            flush();
            whole.append(make(tag, {}, marked(atoms, at + 1, partner, active + atom)));
            at = partner;
        } else if (typeof atom === "string") {
            run += atom;
        } else {
            flush();
            whole.append(atom);
        }
    }
    flush();
    return whole;
}

/** Where the mark at `at` ends: it opens after no letter and before no space, it closes the other way round. */
function closing(atoms, at, from, to, hopeless) {
    const wordly = (atom) => typeof atom === "string" && (WORD.test(atom) || atom === atoms[at]);
    const space = (atom) => typeof atom === "string" && /\s/.test(atom);
    if ((at > from && wordly(atoms[at - 1])) || at + 1 >= to || space(atoms[at + 1])) return -1;
    for (let end = at + 2; end < to; end += 1) {
        if (atoms[end] === atoms[at] && !space(atoms[end - 1]) && !(end + 1 < to && wordly(atoms[end + 1]))) return end;
    }
    hopeless.add(atoms[at]);
    return -1;
}

/** Code: nothing in it is a mark, but links and mentions in it are still shown by their label or name. */
function literal(text, context) {
    const whole = together();
    let position = 0;
    for (const found of text.matchAll(/<([^<>\n]+)>/g)) {
        whole.append(decoded(text.slice(position, found.index)), entityNode(found[1], context));
        position = found.index + found[0].length;
    }
    whole.append(decoded(text.slice(position)));
    return whole;
}

// --- entities ---------------------------------------------------------------------------------------------------

function entityNode(inner, context) {
    const bar = inner.indexOf("|");
    const head = bar < 0 ? inner : inner.slice(0, bar);
    const label = bar < 0 ? "" : decoded(inner.slice(bar + 1));
    if (/^@[UW]\w+$/.test(head) || /^#[CDG]\w+$/.test(head)) return nameNode(head, label, context);
    if (head.startsWith("!")) return commandNode(head.slice(1), label, inner, context);
    const address = decoded(head);
    if (safeAddress(address) === null) return make("bdi", {}, `<${decoded(inner)}>`);
    return link(address, context, make("bdi", {}, label || address.replace(/^mailto:/, "")));
}

function commandNode(command, label, inner, context) {
    const [name, ...rest] = command.split("^");
    if (name === "subteam" && rest.length) return nameNode(`!${rest[0]}`, label.replace(/^@/, ""), context);
    if (name === "date" && rest.length >= 2) return dateNode(rest[0], rest[1], label, rest.slice(2).join("^"), context);
    if (BROADCASTS.has(name)) return make("span", { class: "bk-mention bk-mention-me" }, `@${name}`);
    return make("bdi", {}, label || `<${decoded(inner)}>`);
}

/** A moment, said in the reader's zone, in full in its title. */
export function dateNode(unix, format, fallback, address, context) {
    const shown = slackDate(decoded(format), unix);
    if (shown === null) return make("bdi", {}, fallback || format);
    const time = make("time", { datetime: machineTime(unix), title: wholeMoment(unix) }, shown);
    return address ? link(decoded(address), context, time) : time;
}

/** `@U1`, `#C1` or `!S1` by name; a channel is a way there. */
export function nameNode(reference, label, context) {
    const known = named(reference, context);
    const shown = known || (reference[0] === "#" ? "#" : "@") + (label || reference.slice(1));
    const mine = reference === `@${context.you}` || context.group?.(reference.slice(1))?.users?.includes(context.you);
    const text = make("bdi", { "data-names": reference }, shown);
    if (reference[0] === "#") return make("a", { class: "bk-mention", href: `#/${reference.slice(1)}` }, text);
    return make("span", { class: mine ? "bk-mention bk-mention-me" : "bk-mention" }, text);
}

function named(reference, context) {
    const id = reference.slice(1);
    if (reference[0] === "#") {
        const channel = context.channel?.(id);
        return channel && `#${channel.name}`;
    }
    const somebody = reference[0] === "!" ? context.group?.(id) : context.person?.(id);
    return somebody && `@${somebody.name || somebody.handle}`;
}

/** An emoji by its code, or the code. */
export function emojiNode(code) {
    const shown = sign(code);
    if (shown === undefined) return make("span", {}, `:${code}:`);
    const spoken = code.replaceAll("_", " ");
    return make("span", { class: "bk-emoji", role: "img", "aria-label": spoken, title: `:${code}:` }, shown);
}

function broken(text) {
    const whole = together();
    text.split("\n").forEach((line, number) => {
        if (number) whole.append(make("br"));
        if (line) whole.append(line);
    });
    return whole;
}
