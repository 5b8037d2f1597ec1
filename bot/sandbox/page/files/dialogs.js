/* Small windows of the page itself: a question, a text to enter, a panel. Rule: <dialog> does the work (focus trapped,
 * Escape, focus back); every window has a name and a way out. */

import { icon } from "./icons.js";
import { freshId, make } from "./make.js";
import { textObject, textOf } from "./text.js";

/** A dialog with a title and content, open until it is closed; `closed` runs then. */
export function openDialog(title, content, { closed = () => {}, kind = "small" } = {}) {
    const heading = make("h2", { id: freshId("title") }, title);
    const cross = make(
        "button",
        { type: "button", class: "quiet-button cross", "aria-label": "Close", on: { click: () => dialog.close() } },
        icon("close"),
    );
    const dialog = make(
        "dialog",
        { class: `dialog ${kind}`, "aria-labelledby": heading.id },
        make("div", { class: "dialog-head" }, heading, cross),
        content,
    );
    dialog.addEventListener("close", () => {
        dialog.remove();
        closed();
    });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
}

/** Ask; true for yes. The way out is where the focus begins when the yes is dangerous. */
export function ask({ title, body, yes, no = "Cancel", danger = false }) {
    return new Promise((resolve) => {
        let answer = false;
        const decide = (value) => () => {
            answer = value;
            dialog.close();
        };
        const confirm = make(
            "button",
            {
                type: "button",
                class: danger ? "button danger" : "button primary",
                autofocus: !danger,
                on: { click: decide(true) },
            },
            yes,
        );
        const deny = make(
            "button",
            { type: "button", class: "button", autofocus: danger, on: { click: decide(false) } },
            no,
        );
        const content = make(
            "div",
            { class: "dialog-body" },
            body,
            make("div", { class: "dialog-foot" }, deny, confirm),
        );
        const dialog = openDialog(title, content, { closed: () => resolve(answer) });
    });
}

/** The confirm object of a button or menu. */
export function askAsApp(confirm, context) {
    return ask({
        title: textOf(confirm.title, context),
        body: make("div", { class: "dialog-text" }, textObject(confirm.text, context)),
        yes: textOf(confirm.confirm, context),
        no: textOf(confirm.deny, context),
        danger: confirm.style === "danger",
    });
}

/** One line of text, or null. `work(text)` gives a sentence when it cannot be, and the window stays. */
export function askText({ title, label, value = "", yes, hint = "", multiline = false, required = true }, work) {
    const field = make(multiline ? "textarea" : "input", {
        id: freshId("field"),
        class: "field",
        type: multiline ? null : "text",
        rows: multiline ? "4" : null,
        autofocus: true,
        autocomplete: "off",
        dir: "auto",
    });
    field.value = value;
    const wrong = make("p", { class: "wrong", role: "alert", id: freshId("wrong") });
    field.setAttribute("aria-describedby", wrong.id);
    const send = async (event) => {
        event.preventDefault();
        if (required && !field.value.trim()) {
            wrong.textContent = "Enter something first.";
            field.focus();
            return;
        }
        wrong.textContent = (await work(field.value)) ?? "";
        if (wrong.textContent) field.focus();
        else dialog.close();
    };
    const form = make(
        "form",
        { class: "dialog-body", novalidate: true, on: { submit: send } },
        make("label", { for: field.id, class: "label" }, label),
        field,
        hint ? make("p", { class: "hint" }, hint) : null,
        wrong,
        make(
            "div",
            { class: "dialog-foot" },
            make("button", { type: "button", class: "button", on: { click: () => dialog.close() } }, "Cancel"),
            make("button", { type: "submit", class: "button primary" }, yes),
        ),
    );
    const dialog = openDialog(title, form);
}
