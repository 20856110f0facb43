// What the page holds, and its packed parts.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

/** @returns {HTMLElement} `properties`: of the element; `children`: texts or elements. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

const kKept = 64;  // unpacked blocks
const unpacked = new Map();

/** The text of a packed part; the latest are kept. @returns {Promise<string>} */
function unpack(number) {
  let text = unpacked.get(number);
  unpacked.delete(number);
  if (!text) {
    const packed = Uint8Array.from(atob(document.getElementById(`blob-${number}`).textContent), c => c.charCodeAt(0));
    text = new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
  }
  unpacked.set(number, text);
  if (unpacked.size > kKept) unpacked.delete(unpacked.keys().next().value);
  return text;
}

const indexes = new Map();  // of cells: [side, task]

function cellOf(side, task) {
  return data.cells.find(cell => cell.side === side && cell.task === task);
}

/** Columns of all samples of a cell. */
async function indexOf(cell) {
  if (!indexes.has(cell)) indexes.set(cell, unpack(cell.index).then(JSON.parse));
  return indexes.get(cell);
}

/** Calls `visit(line, row)` for each sample. */
async function eachLine(cell, visit) {
  for (const [blob, first] of (await indexOf(cell)).blocks)
    (await unpack(blob)).trimEnd().split("\n").forEach((line, i) => visit(JSON.parse(line), first + i));
}

/** The sample at a row of the index. */
async function lineOf(cell, row) {
  const {blocks} = await indexOf(cell);
  let b = blocks.length - 1;
  while (blocks[b][1] > row) --b;
  return JSON.parse((await unpack(blocks[b][0])).split("\n")[row - blocks[b][1]]);
}

const kFailed = 1, kTruncated = 2, kUnfinished = 4;  // of an index's flags

function higherIsBetter(task, metric) {
  const row = data.leader.find(row => row.task === task && row.metric === metric);
  return !row || row.higher_is_better;
}

function shown(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  return Number.isInteger(value) && Math.abs(value) >= 10 ? String(value) : value.toFixed(digits);
}

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function samplesLink(values) {
  return "#samples?" + new URLSearchParams(values);
}
