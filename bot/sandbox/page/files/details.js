/* A channel's details: topic, members, and for admins what they may do to it. Rule: what cannot be undone asks first. */

import { ask, askText, openDialog } from "./dialogs.js";
import { freshId, make } from "./make.js";
import { channelName, initials, personName, tint } from "./names.js";

export function openDetails(page, id) {
    const body = make("div", { class: "dialog-body details" });
    const draw = () => {
        const channel = page.store.get("channel", id);
        if (channel === undefined) dialog.close();
        else body.replaceChildren(...sections(page, channel));
    };
    const offs = ["channel", "person"].map((kind) => page.store.on(kind, draw));
    offs.push(page.store.on("reset", () => dialog.close()));
    const title = channelName(page.store, page.store.get("channel", id));
    const dialog = openDialog(title, body, { kind: "side", closed: () => offs.forEach((off) => off()) });
    draw();
}

function sections(page, channel) {
    const you = page.store.get("person", page.you);
    const governs = you?.is_admin || you?.is_owner;
    return [about(page, channel), members(page, channel, governs), governs ? administration(page, channel) : ""];
}

function button(text, work, kind = "button small") {
    return make("button", { type: "button", class: kind, on: { click: work } }, text);
}

function about(page, channel) {
    const topic = () =>
        askText(
            {
                title: "Topic",
                label: "Topic",
                value: channel.topic,
                yes: "Save",
                required: false,
                hint: "One line at the top of the channel. Leave it empty to take it away.",
            },
            async (text) => refusal(await page.act("topic", { channel: channel.id, topic: text })),
        );
    const row = make("div", { class: "button-row" });
    if (channel.is_member && !channel.is_archived) row.append(button("Set the topic …", topic));
    if (channel.is_member) row.append(button("Leave", () => page.do("leave", { channel: channel.id })));
    else if (!channel.is_private && !channel.is_archived)
        row.append(button("Join", () => page.do("join", { channel: channel.id }), "button small primary"));
    const kind = channel.is_private ? "Private: only members see it." : "Public: everybody here may look.";
    const facts = [
        kind,
        channel.is_archived && "Archived.",
        channel.only_admins_post && "Only admins may post.",
        channel.is_ext_shared && "Shared with another organisation.",
    ];
    return make(
        "section",
        {},
        make("p", { class: "hint" }, facts.filter(Boolean).join(" ")),
        channel.topic ? make("p", { dir: "auto" }, channel.topic) : null,
        row,
    );
}

function members(page, channel, governs) {
    const { store } = page;
    const one = (id) => {
        const person = store.get("person", id);
        const remove = async () => {
            const body = make(
                "p",
                { class: "dialog-text" },
                `They no longer see ${channelName(store, channel)}${person?.is_bot ? ", and the app no longer hears what happens in it" : ""}.`,
            );
            if (await ask({ title: `Remove ${personName(store, id)}?`, body, yes: "Remove", danger: true }))
                page.do("kick", { channel: channel.id, user: id });
        };
        return make(
            "li",
            { class: "member" },
            make(
                "span",
                { class: `face ${person?.is_bot ? "app" : tint(id)}`, "aria-hidden": "true" },
                initials(personName(store, id)),
            ),
            make("bdi", {}, personName(store, id)),
            person?.is_bot ? make("span", { class: "badge" }, "App") : null,
            make("span", { class: "spring" }),
            id === page.you || person?.deleted
                ? null
                : make(
                      "button",
                      {
                          type: "button",
                          class: "text-button",
                          "aria-label": `Message ${personName(store, id)}`,
                          on: { click: () => write(page, id) },
                      },
                      "Message",
                  ),
            governs && id !== page.you
                ? make(
                      "button",
                      {
                          type: "button",
                          class: "text-button",
                          "aria-label": `Remove ${personName(store, id)}`,
                          on: { click: remove },
                      },
                      "Remove",
                  )
                : null,
        );
    };
    return make(
        "section",
        {},
        make("h3", {}, `Members (${channel.members.length})`),
        make("ul", { class: "members" }, ...channel.members.map(one)),
        channel.is_member && !channel.is_archived ? invitation(page, channel) : null,
    );
}

async function write(page, id) {
    const answer = await page.do("open_direct", { user: id });
    if (!answer.ok) return;
    document.querySelector("dialog.side[open]")?.close();
    page.go(answer.channel);
}

function invitation(page, channel) {
    const missing = page.store
        .all("person")
        .filter((person) => !person.deleted && !channel.members.includes(person.id));
    if (missing.length === 0) return null;
    const id = freshId("invite");
    const select = make(
        "select",
        { id, class: "field" },
        ...missing.map((person) => make("option", { value: person.id }, person.name)),
    );
    const invite = () => page.do("invite", { channel: channel.id, user: select.value });
    return make(
        "div",
        { class: "inline-form" },
        make("label", { for: id, class: "label" }, "Bring somebody in"),
        select,
        button("Add", invite),
    );
}

function administration(page, channel) {
    const name = channelName(page.store, channel);
    const act = (verb, args = {}) => page.do(verb, { channel: channel.id, ...args });
    const careful = async (title, words, yes, work) => {
        if (await ask({ title, body: make("p", { class: "dialog-text" }, words), yes, danger: true })) work();
    };
    const rename = () =>
        askText({ title: `Rename ${name}`, label: "New name", value: channel.name, yes: "Rename" }, async (text) =>
            refusal(await page.act("rename", { channel: channel.id, name: text })),
        );
    const archive = () =>
        careful(`Archive ${name}?`, "Nobody can write in it until it is brought back.", "Archive", () =>
            act("archive"),
        );
    const publish = () =>
        careful(`Make ${name} public?`, "Everybody in the workspace can read all of it.", "Make it public", () =>
            act("convert", { private: false }),
        );
    return make(
        "section",
        { class: "admin" },
        make("h3", {}, "Admin tools"),
        make(
            "p",
            { class: "hint" },
            "What an admin can do in Slack, and what apps that keep a record here must notice.",
        ),
        make(
            "div",
            { class: "button-row" },
            button("Rename …", rename),
            channel.is_archived
                ? button("Bring it back", () => act("unarchive"))
                : button("Archive …", archive, "button small danger"),
            channel.is_private
                ? button("Make public …", publish, "button small danger")
                : button("Make private", () => act("convert", { private: true })),
            channel.only_admins_post
                ? button("Let everybody post", () => act("restrict", { only_admins_post: false }))
                : button("Let only admins post", () => act("restrict", { only_admins_post: true })),
        ),
    );
}

function refusal(answer) {
    return answer.ok ? null : answer.error;
}
