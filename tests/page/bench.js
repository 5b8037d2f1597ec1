/* Renders what a test gives it, with the page's own modules, and notes what they ask for. */

import { focusFirstError, renderBlocks } from "/files/blocks.js";
import { mrkdwn, plain, spoken } from "/files/text.js";

const people = {
    U1: { id: "U1", handle: "alice", name: "Alice", is_bot: false, deleted: false },
    U2: { id: "U2", handle: "bob", name: "Bob \u202Eevil", is_bot: false, deleted: false },
    U3: { id: "U3", handle: "gone", name: "Gone", is_bot: false, deleted: true },
};
const channels = {
    C1: { id: "C1", name: "incidents", kind: "channel", is_private: false, is_archived: false },
    C2: { id: "C2", name: "security", kind: "channel", is_private: true, is_archived: false },
    D1: { id: "D1", name: "U1", kind: "im", is_private: true, is_archived: false },
};
const groups = { S1: { id: "S1", handle: "oncall", name: "on-call", users: ["U1"] } };

const calls = [];
let options = [];
let answer = true;
const context = {
    you: "U1",
    person: (id) => people[id],
    channel: (id) => channels[id],
    group: (id) => groups[id],
    people: () => Object.values(people),
    conversations: () => Object.values(channels),
    values: {},
    errors: {},
    disabled: false,
    act: async (...all) => void calls.push(["act", ...all]),
    put: (...all) => void calls.push(["put", ...all]),
    suggest: async (...all) => (calls.push(["suggest", ...all]), options),
    confirm: async (dialog) => (calls.push(["confirm", dialog]), answer),
    follow: (url) => void calls.push(["follow", url]),
};
document.addEventListener("click", (event) => event.target.closest("a") && event.preventDefault());

let place = document.querySelector("#place");
window.bench = {
    clear: () => {
        const fresh = document.createElement("div");
        fresh.id = "place";
        place.replaceWith(fresh);
        place = fresh;
        calls.length = 0;
        options = [];
        answer = true;
    },
    render: (blocks, more = {}) => renderBlocks(place, blocks, { ...context, ...more }),
    text: (text) => place.replaceChildren(mrkdwn(text, context)),
    plain: (text) => place.replaceChildren(plain(text, context)),
    spoken: (message) => spoken(message, context),
    focusFirstError: () => focusFirstError(place),
    taken: () => calls.splice(0),
    offer: (offered) => (options = offered),
    answer: (given) => (answer = given),
};
