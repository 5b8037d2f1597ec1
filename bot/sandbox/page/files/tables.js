/* Tables and charts. Rule: numbers are in a real table that can be read cell by cell; a bar only repeats them. */

import { freshId, make } from "./make.js";
import { richText } from "./rich.js";

const PAGE = 5; // rows that a data_table shows at once unless it says otherwise (docs.slack.dev, data table block)
const LONGEST = 100;

/** A table block: its first row is the header. */
export function table(block, context) {
    const settings = block.column_settings ?? [];
    const [header = [], ...rows] = block.rows;
    const head = make("tr", {}, ...header.map((cell, column) => cellNode("col", cell, settings[column], context)));
    const body = make("tbody", {}, ...rows.map((row) => rowNode(row, settings, -1, context)));
    return scrolling("Table", make("table", { class: "bk-table" }, make("thead", {}, head), body));
}

/** A data_table: caption, row headers, and pages. */
export function dataTable(block, context) {
    const [header, ...rows] = block.rows;
    const size = block.page_size ?? PAGE;
    const head = make("tr", {}, ...header.map((cell) => cellNode("col", cell, undefined, context)));
    const body = make("tbody", {});
    const caption = make("caption", { dir: "auto" }, block.caption);
    const whole = make("div", { class: "bk-data-table" });
    const inner = make("table", { class: "bk-table" }, caption, make("thead", {}, head), body);
    whole.append(scrolling(block.caption, inner));
    const show = (first) => {
        const shown = rows.slice(first, first + size);
        body.replaceChildren(...shown.map((row) => rowNode(row, [], block.row_header_column_index ?? -1, context)));
    };
    show(0);
    if (rows.length > size) whole.append(pages(rows.length, size, show));
    return whole;
}

function pages(count, size, show) {
    let first = 0;
    const told = make("span", { role: "status" });
    const turn = (step) => {
        const next = first + step * size;
        if (next < 0 || next >= count) return;
        first = next;
        show(first);
        tell();
    };
    const earlier = make("button", { type: "button", class: "bk-button", on: { click: () => turn(-1) } }, "Previous");
    const later = make("button", { type: "button", class: "bk-button", on: { click: () => turn(1) } }, "Next");
    const tell = () => {
        told.textContent = `Rows ${first + 1} to ${Math.min(first + size, count)} of ${count}`;
        earlier.setAttribute("aria-disabled", String(first === 0));
        later.setAttribute("aria-disabled", String(first + size >= count));
    };
    tell();
    return make("div", { class: "bk-pages" }, earlier, told, later);
}

function rowNode(row, settings, headerColumn, context) {
    const kind = (column) => (column === headerColumn ? "row" : null);
    return make("tr", {}, ...row.map((cell, column) => cellNode(kind(column), cell, settings[column], context)));
}

/** `heads` is what the cell is a header of: "col", "row" or, for a cell of the body, null. */
function cellNode(heads, cell, setting, context) {
    const number = cell.type === "raw_number";
    const align = setting?.align ?? (number ? "right" : "left");
    const wrapped = setting?.is_wrapped ? " bk-wrapped" : "";
    const node = make(heads ? "th" : "td", { class: `bk-${align}${wrapped}`, scope: heads, dir: "auto" });
    if (cell.type === "rich_text") node.append(richText(cell, context));
    else node.append(String(cell.text ?? cell.value ?? ""));
    return node;
}

/** Wide things scroll by themselves, for the keyboard too. */
function scrolling(label, inner) {
    return make("div", { class: "bk-scroll", role: "region", tabindex: "0", "aria-label": label }, inner);
}

/** A data_visualization: its numbers as a table, each with a bar as long as its share of the largest. */
export function chart(block) {
    const { chart: data } = block;
    const name = freshId("chart");
    const series = data.type === "pie" ? [{ name: "Value", data: data.segments }] : data.series;
    const labels = [...new Set(series.flatMap((one) => one.data.map((point) => point.label)))].slice(0, LONGEST);
    const largest = Math.max(...series.flatMap((one) => one.data.map((point) => Math.abs(point.value))), 0) || 1;
    const heading = (scope, text) => make("th", { scope, dir: "auto" }, text);
    const head = make("tr", {}, heading("col", "Label"), ...series.map((one) => heading("col", one.name)));
    const rows = labels.map((label) => {
        const values = series.map((one, place) => value(one, label, largest, place));
        return make("tr", {}, heading("row", label), ...values);
    });
    const inner = make("table", { class: "bk-table bk-chart" }, make("thead", {}, head), make("tbody", {}, ...rows));
    const title = make("figcaption", { id: name, class: "bk-title", dir: "auto" }, block.title);
    return make("figure", { "aria-labelledby": name }, title, scrolling(block.title, inner));
}

function value(series, label, largest, place) {
    const point = series.data.find((one) => one.label === label);
    if (point === undefined) return make("td", {}, "");
    const bar = make("span", { class: `bk-bar bk-bar-${place}`, "aria-hidden": "true" });
    bar.style.inlineSize = `${(Math.abs(point.value) / largest) * 8}rem`;
    return make("td", {}, bar, String(point.value));
}
