/* What things are called on the page, in one place. */

/** A channel or conversation as people call it. */
export function channelName(store, channel) {
    if (channel === undefined) return "a conversation you cannot see";
    if (channel.kind === "im") return personName(store, channel.name);
    if (channel.kind === "mpim") {
        const others = channel.members.filter((id) => id !== store.you);
        return others.map((id) => personName(store, id)).join(", ");
    }
    return `#${channel.name}`;
}

export function personName(store, id) {
    return store.get("person", id)?.name ?? (id === "USLACKBOT" ? "The workspace" : (id ?? "Somebody"));
}

/** The part of a name before a comma: "Alice Ito, on call" is Alice Ito where room is short. */
export function shortName(store, id) {
    return personName(store, id).split(",")[0];
}

export function initials(name) {
    const words = name.split(",")[0].trim().split(/\s+/);
    return [words[0], words.length > 1 ? words.at(-1) : ""]
        .map((word) => [...word][0] ?? "")
        .join("")
        .toUpperCase();
}

const tints = new Map();

/** One of eight colours of a person: the first eight have different ones. */
export function tint(id) {
    if (!tints.has(id)) tints.set(id, tints.size % 8);
    return `tint-${tints.get(id)}`;
}

/** Stored mrkdwn as its author typed it, for the composer: entities back to names. */
export function asTyped(store, text) {
    const shown = text.replace(
        /<([@#!])([^<>|]+)(?:\|([^<>]*))?>|<([^<>|]+)(?:\|[^<>]*)?>/g,
        (_, sign, id, label, address) => {
            if (address !== undefined) return address;
            if (sign === "@") return `@${store.get("person", id)?.handle ?? label ?? id}`;
            if (sign === "#") return `#${store.get("channel", id)?.name ?? label ?? id}`;
            if (id.startsWith("subteam^")) return `@${store.get("group", id.slice(8))?.handle ?? label ?? id}`;
            return `@${id}`;
        },
    );
    return shown.replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
}
