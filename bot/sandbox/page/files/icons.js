/* Small drawings for buttons, as nodes: strokes in the colour of the text, hidden from screen readers (the button has
 * the name). */

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
    hash: "M6.5 2.5 5 13.5M11 2.5 9.5 13.5M2.5 6h11M2.5 10h11",
    lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
    reply: "M2.5 3.5h11v7h-6l-3 3v-3h-2z",
    more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
    close: "M4 4l8 8M12 4l-8 8",
    send: "M2.5 8h10M8.5 4l4 4-4 4",
    back: "M13 8H3M7 4 3 8l4 4",
    people: "M6 8a2.4 2.4 0 1 0 0-4.8A2.4 2.4 0 0 0 6 8zM1.8 13.2c.4-2.3 2-3.6 4.2-3.6s3.8 1.3 4.2 3.6M11 3.5a2.2 2.2 0 0 1 0 4.3M12 9.9c1.3.4 2.1 1.5 2.3 3.3",
    wire: "M1.5 5.5h9.5M8.5 3 11 5.5 8.5 8M14.5 10.5H5M7.5 8 5 10.5 7.5 13",
    sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3.05 3.05l1.06 1.06M11.89 11.89l1.06 1.06M12.95 3.05l-1.06 1.06M4.11 11.89l-1.06 1.06",
    moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z",
    half: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
    down: "M8 3v10M4 9l4 4 4-4",
    eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z",
    panel: "M2 3h12v10H2zM10 3v10",
    bolt: "M9 1.5 3.5 9H8l-1 5.5L12.5 7H8z",
    home: "M2.5 7.5 8 2.5l5.5 5v6h-4V10h-3v3.5h-4z",
};

export function icon(name) {
    const drawing = document.createElementNS(SVG, "svg");
    drawing.setAttribute("viewBox", "0 0 16 16");
    drawing.setAttribute("class", `icon icon-${name}`);
    drawing.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", PATHS[name]);
    drawing.append(path);
    return drawing;
}
