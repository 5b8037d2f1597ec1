/* An input block around its control. Rule: label, hint, error and whether it must be filled in can be heard as well as
 * seen, by the means of the platform. */

import { freshId, make } from "./make.js";
import { textIn, textObject } from "./text.js";

/** {node, tell}: `tell(error)` shows an error under the field, or takes it away. */
export function labelled(block, control, context) {
    const isGroup = control.target === null;
    const hint = textIn("p", "bk-hint", block.hint, context);
    if (hint) hint.id = freshId("hint");
    const error = make("p", { class: "bk-error", id: freshId("error"), dir: "auto", hidden: true });
    const label = make(
        isGroup ? "legend" : "label",
        { class: "bk-label", for: isGroup ? null : control.target.id, dir: "auto" },
        make("bdi", {}, textObject(block.label, context)),
        obligation(block, isGroup),
    );
    const node = make(isGroup ? "fieldset" : "div", { class: "bk-input", role: control.role ?? null }, label);
    node.append(...[control.node, hint, error].filter(Boolean));
    const described = control.target ?? node;
    if (!isGroup && !block.optional) described.setAttribute("aria-required", "true");
    const tell = (sentence) => {
        error.textContent = sentence ?? "";
        error.hidden = !sentence;
        node.classList.toggle("bk-wrong", Boolean(sentence));
        for (const mark of control.marks) mark.setAttribute("aria-invalid", String(Boolean(sentence)));
        const about = [sentence && error.id, hint?.id, described.dataset.note].filter(Boolean);
        if (about.length) described.setAttribute("aria-describedby", about.join(" "));
        else described.removeAttribute("aria-describedby");
    };
    tell(null);
    return { node, tell };
}

/** What is seen says which fields may stay empty; a group, which cannot be aria-required, says also which may not. */
function obligation(block, isGroup) {
    if (block.optional) return make("span", { class: "bk-optional" }, " (optional)");
    return isGroup ? make("span", { class: "bk-unseen" }, " (required)") : null;
}
