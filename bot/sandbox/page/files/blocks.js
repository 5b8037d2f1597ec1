/* Block Kit as nodes. Rule: what has not changed is not touched, so that focus, caret, selection and what somebody is
 * typing survive every update; what an app sends later never overwrites what a person typed.
 *
 * `context`: lookups person(id), channel(id), group(id), people(), conversations(); values, errors, disabled; and act,
 * put, suggest, confirm, follow, which the shell gives. */

import { layout } from "./layout.js";
import { refreshNames } from "./text.js";

const SHOWN = new WeakMap(); // container -> {context, entries, carried}

/** Make `container` show `blocks`. Called again with newer ones it changes only what differs. */
export function renderBlocks(container, blocks, context) {
    const isFirst = !SHOWN.has(container);
    const shown = SHOWN.get(container) ?? { entries: [] };
    SHOWN.set(container, shown);
    shown.context = context;
    const focus = focusedIn(container);
    const pool = new Map();
    for (const entry of shown.entries) pool.set(entry.signature, [...(pool.get(entry.signature) ?? []), entry]);
    const kept = blocks.map((block) => pool.get(signature(block))?.shift() ?? null);
    const leaving = shown.entries.filter((entry) => !kept.includes(entry));
    shown.carried = typedIn(leaving);
    shown.entries = blocks.map((block, place) => kept[place] ?? built(block, shown));
    for (const entry of leaving) entry.node.remove();
    arrange(container, shown.entries);
    shown.entries.forEach((entry, place) => entry.update(blocks[place], context));
    refreshNames(container, context);
    container.classList.add("bk");
    if (focus) giveBack(container, focus);
    else if (isFirst) focusOnLoad(container);
}

/** Put the focus on the first field with an error; false when there is none. */
export function focusFirstError(container) {
    const field = container.querySelector("[aria-invalid=true]");
    field?.focus();
    return field !== null;
}

/** What makes a block the same one. What fields hold at first does not: what they hold now is kept in them. A block
 * that cannot be acted on may have a new id, as Slack invents one at every update. */
function signature(block) {
    const text = JSON.stringify(block, (key, value) => (key.startsWith("initial_") ? undefined : value));
    return text.includes('"action_id"') ? text : JSON.stringify({ ...block, block_id: undefined });
}

function built(block, shown) {
    return { signature: signature(block), ...layout(block, shown) };
}

/** Nodes in order, moving none that stands rightly: a node that is moved loses the focus. */
function arrange(container, entries) {
    let next = container.firstChild;
    for (const { node } of entries) {
        if (node === next) next = next.nextSibling;
        else container.insertBefore(node, next);
    }
    while (next !== null) {
        const after = next.nextSibling;
        next.remove();
        next = after;
    }
}

/** What was typed into fields whose block is being replaced, for the field of the same name in the new one. */
function typedIn(entries) {
    const carried = new Map();
    for (const { fields } of entries) {
        for (const { scope, control } of fields) {
            if (!scope.touched) continue;
            carried.set(`${scope.block.block_id}\n${scope.element.action_id}\n${scope.element.type}`, control.get());
        }
    }
    return carried;
}

function focusedIn(container) {
    const active = document.activeElement;
    if (active === null || active === container || !container.contains(active)) return null;
    const { block, action, value } = active.dataset;
    return { active, block, action, value, caret: [active.selectionStart, active.selectionEnd] };
}

/** The focus to where it was, to what has its name now, or to the container: never to the top of the page. */
function giveBack(container, { active, block, action, value, caret }) {
    if (container.contains(active)) {
        if (document.activeElement !== active) active.focus();
        return;
    }
    const named = [...container.querySelectorAll("[data-action]")].filter((node) => node.dataset.action === action);
    const isSame = ({ dataset }) => dataset.block === block && dataset.value === value;
    const heir = named.find(isSame) ?? named[0];
    if (heir === undefined) {
        if (!container.hasAttribute("tabindex")) container.setAttribute("tabindex", "-1");
        container.focus({ preventScroll: true });
        return;
    }
    heir.focus({ preventScroll: true });
    if (typeof caret[0] === "number" && typeof heir.selectionStart === "number") heir.setSelectionRange(...caret);
}

/** In a dialog that is open already; one that opens later looks at `autofocus` itself. */
function focusOnLoad(container) {
    if (container.closest("dialog[open]")) container.querySelector("[autofocus]")?.focus();
}
