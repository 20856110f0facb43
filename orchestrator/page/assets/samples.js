// Every sample: which are listed, and one of them whole. What is chosen stands in the address, so that it can be linked.
"use strict";

const choice = {task: "", module: 0, beside: null, metric: "", filter: "none", show: "all", search: "", document: null};
const list = {table: null, rows: [], shown: []};

const kShows = {
  all: () => true,
  wrong: row => row.value !== null && (row.higher ? row.value < 1 : row.value > 0),
  failed: row => (row.flags & kFailed) !== 0,
  truncated: row => (row.flags & kTruncated) !== 0,
  unfinished: row => (row.flags & kUnfinished) !== 0,
  differ: row => row.other !== null && row.value !== row.other,
};

const by = id => document.getElementById(id);

function setOptions(select, options, value) {
  select.replaceChildren(...options.map(([name, text]) => element("option", {value: name, textContent: text})));
  select.value = String(value);
}

/** From the address; what it does not say, or says wrong, is taken from what there is. */
async function readChoice(parameters) {
  const tasks = [...new Set(data.cells.map(cell => cell.task))];
  choice.task = tasks.includes(parameters.get("task")) ? parameters.get("task") : tasks[0];
  const sides = data.cells.filter(cell => cell.task === choice.task).map(cell => cell.side);
  const side = name => sides.find(one => String(one) === parameters.get(name));
  choice.module = side("module") ?? sides[0];
  choice.beside = side("beside") ?? null;
  if (choice.beside === choice.module) choice.beside = null;
  const index = await indexOf(cellOf(choice.module, choice.task));
  choice.filter = index.filters.includes(parameters.get("filter")) ? parameters.get("filter") : index.filters[0] ?? "none";
  const metrics = Object.keys(index.values).filter(metric => index.values[metric].some((value, i) => value !== null && index.filters[index.filter[i]] === choice.filter));
  choice.metric = metrics.includes(parameters.get("metric")) ? parameters.get("metric") : metrics[0] ?? "";
  choice.show = parameters.get("show") in kShows ? parameters.get("show") : "all";
  choice.search = parameters.get("search") ?? "";
  choice.document = parameters.get("document");
  setOptions(by("task"), tasks.map(task => [task, task]), choice.task);
  setOptions(by("module"), sides.map(one => [one, data.sides[one].label]), choice.module);
  setOptions(by("beside"), [["", "none"], ...sides.filter(one => one !== choice.module).map(one => [one, data.sides[one].label])], choice.beside ?? "");
  setOptions(by("metric"), metrics.map(metric => [metric, metric]), choice.metric);
  setOptions(by("filter"), index.filters.map(filter => [filter, filter]), choice.filter);
  by("filter-label").hidden = index.filters.length < 2;
  if (document.activeElement !== by("search")) by("search").value = choice.search;
}

function writeAddress(wanted) {
  const values = Object.entries(wanted).filter(([, value]) => value !== null && value !== "");
  history.replaceState(null, "", samplesLink(Object.fromEntries(values)));
}

function goTo(changes) {
  writeAddress({...choice, ...changes});
  showSamples();
}

/** Rows of the chosen cell and filter, with the other module's values beside them. */
async function rowsOfChoice() {
  const index = await indexOf(cellOf(choice.module, choice.task)), place = index.filters.indexOf(choice.filter);
  const higher = higherIsBetter(choice.task, choice.metric), values = index.values[choice.metric];
  let other = null, others = new Map();
  if (choice.beside !== null) {
    other = await indexOf(cellOf(choice.beside, choice.task));
    const theirs = other.filters.indexOf(choice.filter);
    other.key.forEach((key, i) => { if (other.filter[i] === theirs) others.set(key, i); });
  }
  const rows = [];
  index.id.forEach((id, i) => {
    if (index.filter[i] !== place) return;
    const there = others.get(index.key[i]);
    rows.push({row: i, id, text: index.text[i], target: index.target[i], answer: index.answer[i], flags: index.flags[i], higher,
               value: values ? values[i] : null, there: there ?? null,
               other: there === undefined ? null : other.values[choice.metric]?.[there] ?? null,
               other_answer: there === undefined ? "" : other.answer[there]});
  });
  return rows;
}

/** All texts of a value, in lower case. */
function textsOf(value) {
  if (value === null || typeof value !== "object") return String(value).toLowerCase() + "\n";
  return Object.values(value).map(textsOf).join("");
}

async function found(search) {
  const wanted = search.toLowerCase(), rows = new Set();
  await eachLine(cellOf(choice.module, choice.task), (line, row) => { if (textsOf(line).includes(wanted)) rows.add(row); });
  return rows;
}

function showShows() {
  const names = Object.keys(kShows).filter(show => show !== "differ" || choice.beside !== null);
  by("shows").replaceChildren(...names.map(show => {
    const count = list.rows.filter(kShows[show]).length;
    const button = element("button", {type: "button", textContent: `${show} ${count}`, disabled: count === 0 && show !== choice.show, onclick: () => goTo({show, document: null})});
    button.dataset.show = show;
    button.setAttribute("aria-pressed", String(show === choice.show));
    return button;
  }));
}

function flagsText(flags) {
  return [[kFailed, "failed"], [kTruncated, "truncated"], [kUnfinished, "unfinished"]].filter(([flag]) => flags & flag)
    .map(([, name]) => element("span", {className: "flag"}, name));
}

function showList() {
  const text = cell => document.createTextNode(cell.getValue() ?? "");
  const value = cell => {
    const row = cell.getData(), one = cell.getValue();
    const right = one === null ? null : row.higher ? one >= 1 : one <= 0;
    return element("span", {className: right === null ? "" : right ? "better" : "worse"}, shown(one), " ", ...(cell.getField() === "value" ? flagsText(row.flags) : []));
  };
  const beside = choice.beside === null ? [] : [
    {title: data.sides[choice.beside].label, field: "other", formatter: value, ...kRight, width: 100},
    {title: "its answer", field: "other_answer", formatter: text, minWidth: 90}];
  list.table?.destroy();
  list.table = new Tabulator("#list", {
    ...tableOptions, layout: "fitColumns", maxHeight: Math.max(320, Math.min(640, window.innerHeight - (window.innerWidth > 800 ? 60 : 400))),
    data: list.shown, index: "row", placeholder: "no such samples",
    rowFormatter: row => row.getElement().classList.toggle("chosen", String(row.getData().id) === choice.document),
    columns: [
      {title: "id", field: "id", width: 66, formatter: text}, {title: choice.metric || "value", field: "value", formatter: value, ...kRight, width: 100},
      {title: "answer", field: "answer", formatter: text, minWidth: 90}, ...beside,
      {title: "target", field: "target", formatter: text, minWidth: 70}, {title: "text", field: "text", formatter: text, widthGrow: 2, minWidth: 120}]});
  list.table.on("rowClick", (event, row) => choose(row.getData()));
}

// ---- one of them

function promptsOf(line) {
  const prompts = new Set();
  for (const request of Object.values(line.arguments ?? {})) if (typeof request.arg_0 === "string") prompts.add(request.arg_0);
  return [...prompts];
}

function textBlock(title, text) {
  return [element("h4", {}, title), element("pre", {}, typeof text === "string" ? text : JSON.stringify(text, null, 1))];
}

/** Choices with their likelihoods. */
function choicesTable(line) {
  const requests = Object.values(line.arguments ?? {}), answers = line.filtered_resps;
  const likelihoods = answers.map(answer => Number(answer[0])), best = Math.max(...likelihoods);
  const targets = [line.target].flat().map(String), right = index => targets.includes(String(index));
  return element("table", {className: "plain"},
    element("tr", {}, ...["choice", "log p", ""].map((name, i) => element("th", i === 1 ? {className: "number"} : {}, name))),
    ...answers.map((answer, i) => element("tr", {className: right(i) ? "right" : ""},
      element("td", {}, requests[i]?.arg_1 ?? ""), element("td", {className: "number"}, shown(likelihoods[i])),
      element("td", {}, [right(i) ? "target" : "", likelihoods[i] === best && answers.length > 1 ? "answer" : "", answer[1] === "True" ? "greedy" : ""].filter(Boolean).join(", ")))));
}

function rankingTable(line) {
  const right = id => line.target !== null && typeof line.target === "object" && id in line.target;
  return element("table", {className: "plain"}, element("tr", {}, element("th", {}, "passage"), element("th", {className: "number"}, "score"), element("th", {}, "")),
    ...line.ranking.map(([id, score]) => element("tr", {className: right(id) ? "right" : ""}, element("td", {}, id), element("td", {className: "number"}, shown(score)), element("td", {}, right(id) ? "relevant" : ""))));
}

/** A trace is folded: what stands before the answer that was taken. */
function responseBlocks(line) {
  const filtered = (line.filtered_resps ?? []).flat(), responses = (line.resps ?? []).flat();
  return responses.flatMap((response, i) => {
    const taken = String(filtered[i] ?? filtered[0] ?? "");
    const end = response.lastIndexOf("</think>");
    const cut = end >= 0 ? end + "</think>".length : line.reasoning_tokens && taken ? response.lastIndexOf(taken) : -1;
    const title = responses.length > 1 ? `answer ${i + 1}` : "answer";
    const blocks = cut > 0
      ? [folded(`reasoning${line.reasoning_tokens ? `, ${line.reasoning_tokens[i]} tokens` : ""}`, response.slice(0, cut)), ...textBlock(title, response.slice(cut))]
      : textBlock(title, response);
    return i < filtered.length && taken !== response && taken !== response.slice(cut) ? [...blocks, ...textBlock("as it was scored", taken)] : blocks;
  });
}

const kShownApart = new Set(["doc_id", "id", "doc", "arguments", "target", "resps", "filtered_resps", "filter", "ranking", "error", "images", "text", "prompt"]);

function sideOf(label, line) {
  const likelihoods = Array.isArray(line.filtered_resps) && line.filtered_resps.length > 0 && line.filtered_resps.every(answer => Array.isArray(answer) && answer.length === 2 && answer[1] in {True: 1, False: 1});
  const rest = Object.entries(line).filter(([name]) => !kShownApart.has(name));
  return element("div", {className: "side"}, element("h4", {}, label),
    ...(line.error ? textBlock("failed", line.error) : []), ...(likelihoods ? [choicesTable(line)] : line.resps ? responseBlocks(line) : []),
    ...(line.ranking ? [rankingTable(line)] : []), ...(line.text !== undefined ? textBlock("answer", line.text) : []), plainTable(rest));
}

async function imageOf(image) {
  const name = `${image.path}, ${image.width} × ${image.height}`;
  const blob = data.images?.[image.hash];
  if (blob === undefined) return element("p", {}, `image ${name}`);
  return element("figure", {}, element("img", {src: await unpack(blob), alt: name, loading: "lazy"}), element("figcaption", {}, name));
}

async function showDetail() {
  const row = list.shown.find(one => String(one.id) === choice.document);
  if (!row) return by("detail").replaceChildren(element("p", {className: "note"}, list.shown.length > 0 ? "Choose a sample." : "No such samples."));
  const line = await lineOf(cellOf(choice.module, choice.task), row.row);
  const other = choice.beside === null || row.there === null ? null : await lineOf(cellOf(choice.beside, choice.task), row.there);
  const prompts = promptsOf(line), theirs = other ? promptsOf(other) : [];
  const step = count => element("button", {type: "button", textContent: count < 0 ? "previous" : "next", onclick: () => move(count)});
  const same = other && JSON.stringify(prompts) === JSON.stringify(theirs);
  by("detail").replaceChildren(
    element("h3", {}, `${choice.task}, document ${row.id}`, step(-1), step(1)),
    ...(line.target === undefined || line.target === "" ? [] : textBlock("target", line.target)),
    element("div", {className: "sides"}, sideOf(data.sides[choice.module].label, line), other ? sideOf(data.sides[choice.beside].label, other) : null),
    ...await Promise.all((line.images ?? []).map(imageOf)),
    ...prompts.flatMap((prompt, i) => textBlock(prompts.length > 1 ? `prompt ${i + 1}` : "prompt", prompt)),
    ...(other && !same ? theirs.flatMap(prompt => textBlock(`prompt of ${data.sides[choice.beside].label}`, prompt)) : []),
    ...(line.doc ? [folded("the row", JSON.stringify(line.doc, null, 1))] : []));
}

function choose(row) {
  choice.document = String(row.id);
  writeAddress(choice);
  list.table.getRows("visible").forEach(one => one.getElement().classList.toggle("chosen", String(one.getData().id) === choice.document));
  return showDetail();
}

/** To the sample `step` behind the chosen one, as they are listed. */
function move(step) {
  const rows = list.table.getRows("active").map(row => row.getData());
  if (rows.length === 0) return;
  const at = rows.findIndex(row => String(row.id) === choice.document);
  const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + step))];
  list.table.scrollToRow(next.row, "nearest", false).catch(() => {});
  choose(next);
}

let latest = 0;  // what was asked for last: an earlier answer that comes later is dropped
async function showSamples() {
  if (data.cells.length === 0) return by("sample-view").replaceChildren(element("p", {className: "note"}, "There are no samples yet."));
  const mine = ++latest;
  await readChoice(new URLSearchParams(location.hash.split("?")[1] ?? ""));
  const rows = await rowsOfChoice(), wanted = choice.search ? await found(choice.search) : null;
  if (mine !== latest) return;
  list.rows = wanted ? rows.filter(row => wanted.has(row.row)) : rows;
  list.shown = list.rows.filter(kShows[choice.show]);
  showShows();
  showList();
  await showDetail();
}

function listenToChoice() {
  by("task").onchange = () => goTo({task: by("task").value, metric: "", filter: "", document: null});
  by("module").onchange = () => goTo({module: by("module").value});
  by("beside").onchange = () => goTo({beside: by("beside").value, show: by("beside").value === "" && choice.show === "differ" ? "all" : choice.show});
  by("metric").onchange = () => goTo({metric: by("metric").value});
  by("filter").onchange = () => goTo({filter: by("filter").value, document: null});
  let typed = 0;
  by("search").oninput = () => {
    clearTimeout(typed);
    typed = setTimeout(() => goTo({search: by("search").value}), 200);
  };
  by("choice").onsubmit = event => event.preventDefault();
}
