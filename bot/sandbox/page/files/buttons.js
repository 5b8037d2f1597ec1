/* What is pressed: buttons, links that look like buttons, overflow menus. Rule: a confirm dialog comes first, a second
 * press waits for the first, and a button that cannot be pressed now keeps the focus. */

import { make, safeAddress } from "./make.js";
import { textIn, textObject } from "./text.js";

/** A button, of an actions block, a section or a card. */
export function button(element, { shown, block }) {
    const address = element.url ? safeAddress(element.url) : null;
    const node = make(
        address === null ? "button" : "a",
        {
            ...pressable(address),
            class: ["bk-button", element.style && `bk-${element.style}`].filter(Boolean).join(" "),
            "aria-label": element.accessibility_label,
            "data-block": block.block_id,
            "data-action": element.action_id,
        },
        make("bdi", {}, textObject(element.text, shown.context)),
    );
    node.addEventListener("click", (event) => {
        if (address !== null && !isBusy(node, shown)) shown.context.follow?.(address, event);
        press(node, element, shown, block, {});
    });
    return node;
}

function pressable(address) {
    if (address === null) return { type: "button" };
    return { href: address, title: address, target: "_blank", rel: "noopener noreferrer nofollow" };
}

function isBusy(node, shown) {
    return shown.context.disabled === true || node.getAttribute("aria-busy") === "true";
}

async function press(node, element, shown, block, what) {
    if (isBusy(node, shown)) return;
    node.setAttribute("aria-busy", "true");
    try {
        if (element.confirm && !(await shown.context.confirm(element.confirm))) return;
        await shown.context.act(block.block_id, element.action_id, what);
    } finally {
        node.removeAttribute("aria-busy");
    }
}

/** An overflow menu: a button, and its choices in a popover that Escape or a click elsewhere closes. */
export function overflow(element, { shown, block, label }) {
    const menu = make("div", { class: "bk-menu", role: "menu", popover: "auto", "aria-label": label });
    const opener = make(
        "button",
        {
            type: "button",
            class: "bk-button bk-overflow",
            "aria-label": label,
            "aria-haspopup": "menu",
            "aria-expanded": "false",
            "data-block": block.block_id,
            "data-action": element.action_id,
        },
        "⋯",
    );
    const items = element.options.map((option) => item(option, shown));
    items.forEach((each, place) => {
        each.addEventListener("click", (event) => {
            const option = element.options[place];
            menu.hidePopover();
            opener.focus();
            if (each.href) shown.context.follow?.(each.href, event);
            press(opener, element, shown, block, { option });
        });
    });
    menu.append(...items);
    menu.addEventListener("keydown", (event) => travel(event, items));
    menu.addEventListener("toggle", (event) => {
        opener.setAttribute("aria-expanded", String(event.newState === "open"));
    });
    opener.addEventListener("click", () => {
        if (isBusy(opener, shown)) return;
        menu.showPopover();
        besides(menu, opener);
        items[0].focus();
    });
    return make("span", { class: "bk-overflow-holder" }, opener, menu);
}

function item(option, { context }) {
    const address = option.url ? safeAddress(option.url) : null;
    const attributes = { ...pressable(address), class: "bk-menu-item", role: "menuitem", tabindex: "-1" };
    const text = make("bdi", {}, textObject(option.text, context));
    const more = textIn("span", "bk-description", option.description, context);
    return make(address === null ? "button" : "a", attributes, text, more);
}

function travel(event, items) {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length).focus();
}

/** A popover lies above everything, so it is placed by hand: below its button, within the window. */
function besides(menu, opener) {
    const place = opener.getBoundingClientRect();
    const { width, height } = menu.getBoundingClientRect();
    const below = place.bottom + height <= window.innerHeight;
    menu.style.insetInlineStart = "auto";
    menu.style.left = `${Math.max(0, Math.min(place.left, window.innerWidth - width))}px`;
    menu.style.top = `${Math.max(0, below ? place.bottom : place.top - height)}px`;
}
