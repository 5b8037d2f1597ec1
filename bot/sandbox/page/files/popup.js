/* A menu under a button. Keys: w3.org/WAI/ARIA/apg/patterns/menu-button. It is a popover, so that Escape or a click
 * elsewhere closes it, and it is made when it opens, because what it offers may have changed. */

import { freshId, make } from "./make.js";

/** Let `button` open a menu; `items()` gives [{text, act, danger?}] and `name` says what the menu is. */
export function menuButton(button, name, items) {
    button.setAttribute("aria-haspopup", "menu");
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => open(button, name, items()));
}

function open(button, name, items) {
    const entries = items.map(({ text, act, danger }) =>
        make(
            "button",
            {
                type: "button",
                role: "menuitem",
                tabindex: "-1",
                class: danger ? "menu-item danger" : "menu-item",
                on: {
                    click: () => {
                        menu.hidePopover();
                        button.focus();
                        act();
                    },
                },
            },
            text,
        ),
    );
    const menu = make(
        "div",
        { class: "menu", role: "menu", popover: "auto", "aria-label": name, id: freshId("menu") },
        ...entries,
    );
    menu.addEventListener("keydown", (event) => travel(event, entries, menu, button));
    menu.addEventListener("toggle", (event) => {
        button.setAttribute("aria-expanded", String(event.newState === "open"));
        if (event.newState === "closed") menu.remove();
    });
    button.after(menu);
    menu.showPopover();
    place(menu, button);
    entries[0]?.focus();
}

function travel(event, entries, menu, button) {
    const at = entries.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Tab" || event.key === "Escape") {
        event.stopPropagation();
        event.preventDefault();
        menu.hidePopover();
        button.focus();
    }
    if (to === undefined) return;
    event.preventDefault();
    entries.at(to % entries.length).focus();
}

/** Under the button, or over it where there is no room; within the window. */
function place(menu, button) {
    const at = button.getBoundingClientRect();
    const { width, height } = menu.getBoundingClientRect();
    const below = at.bottom + height + 8 <= window.innerHeight;
    menu.style.left = `${Math.max(8, Math.min(at.right - width, window.innerWidth - width - 8))}px`;
    menu.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - height - 4)}px`;
}
