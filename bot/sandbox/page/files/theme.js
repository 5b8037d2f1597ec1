/* Light, dark, or as the system says. */

import { icon } from "./icons.js";
import { make } from "./make.js";
import { browser } from "./memory.js";

const ORDER = ["system", "light", "dark"];
const ICONS = { system: "half", light: "sun", dark: "moon" };

export function themeButton() {
    const button = make("button", { type: "button", class: "bar-button" });
    const show = (theme) => {
        if (theme === "system") delete document.documentElement.dataset.theme;
        else document.documentElement.dataset.theme = theme;
        button.replaceChildren(icon(ICONS[theme]));
        button.setAttribute("aria-label", `Colours: ${theme}. Change`);
        button.title = `Colours: ${theme}`;
        browser.set("theme", theme);
    };
    let theme = ORDER.includes(browser.get("theme")) ? browser.get("theme") : "system";
    button.addEventListener("click", () => {
        theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
        show(theme);
    });
    show(theme);
    return button;
}
