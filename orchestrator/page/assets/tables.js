// Results, comparisons, modules and ledger: tables that nothing changes.
"use strict";

const kHalfInterval = 1.96;  // standard errors
const kRight = {hozAlign: "right", headerHozAlign: "right"};

const tableOptions = {layout: "fitDataTable", placeholder: "nothing", renderVertical: "virtual", columnDefaults: {headerTooltip: true}};

const kPlainGroup = name => document.createTextNode(name);

/** A bar that shows an interval within 0 to 1. */
function intervalBar(value, half) {
  const low = Math.max(0, value - half), high = Math.min(1, value + half);
  const bar = element("i");
  bar.style.left = `min(${100 * low}%, 100% - 2px)`;
  bar.style.width = `${100 * (high - low)}%`;
  return element("span", {className: "interval"}, bar);
}

function figure(row, side) {
  const cell = row.cells[side];
  if (!cell) return "";
  const [value, error] = cell;
  const others = row.cells.filter(other => other).map(other => other[0]);
  const best = row.higher_is_better ? Math.max(...others) : Math.min(...others);
  const half = error === null ? null : kHalfInterval * error;
  const unit = others.every(other => other >= 0 && other <= 1);
  const link = cellOf(side, row.task) ? {href: samplesLink({task: row.task, module: side, metric: row.metric, filter: row.filter})} : {};
  return element(link.href ? "a" : "span", {...link, className: "figure" + (others.length > 1 && shown(value) === shown(best) ? " best" : "")},
                 shown(value), half === null ? null : element("small", {}, ` ± ${shown(half)}`), unit ? intervalBar(value, half ?? 0) : null);
}

/** Rows of groups hold those of their tasks. */
function leaderRows() {
  const member = new Set(Object.values(data.groups).flat());
  const rowsOf = task => data.leader.filter(row => row.task === task).map(row => {
    const made = {...row, name: row.metric + (row.filter === "none" ? "" : ` (${row.filter})`) + (row.higher_is_better ? " ↑" : " ↓")};
    row.cells.forEach((cell, side) => { made[`side${side}`] = cell ? cell[0] : null; });
    return made;
  });
  const tree = (task, above) => {
    const rows = rowsOf(task), tasks = above.has(task) ? [] : data.groups[task] ?? [];
    const below = tasks.flatMap(one => tree(one, new Set([...above, task])));
    if (below.length > 0 && rows.length > 0) rows[0]._children = below;
    return rows.length > 0 ? rows : below;
  };
  return [...new Set(data.leader.map(row => row.task))].filter(task => !member.has(task)).flatMap(task => tree(task, new Set()));
}

/** A suite whose modules have tasks of their own would be a table of holes: a row a figure instead. */
function isSparse() {
  const filled = data.leader.reduce((sum, row) => sum + row.cells.filter(cell => cell).length, 0);
  return data.sides.length > 4 && filled < 0.5 * data.leader.length * data.sides.length;
}

function showFigures() {
  const rows = leaderRows().flatMap(row => row.cells.map((cell, side) => ({...row, side, value: cell?.[0], _children: undefined})).filter(one => one.value !== undefined));
  new Tabulator("#leader", {
    ...tableOptions, data: rows, groupBy: "task", groupHeader: kPlainGroup,
    columns: [{title: "metric", field: "name"}, {title: "module", field: "side", formatter: cell => document.createTextNode(data.sides[cell.getValue()].label)},
              {title: "figure", field: "value", ...kRight, minWidth: 160, formatter: cell => figure(cell.getData(), cell.getData().side)}]});
}

function showLeader() {
  if (isSparse() && Object.keys(data.groups).length === 0) return showFigures();
  const columns = data.sides.map((side, s) => ({
    title: side.label, field: `side${s}`, ...kRight, headerSortStartingDir: "desc", minWidth: 120,
    formatter: cell => figure(cell.getData(), s)}));
  new Tabulator("#leader", {
    ...tableOptions, data: leaderRows(), dataTree: true, dataTreeStartExpanded: false,
    columns: [{title: "task", field: "task", frozen: window.innerWidth > 800}, {title: "metric", field: "name"},
              ...columns.filter((column, s) => data.leader.some(row => row.cells[s]))]});
}

function showComparisons() {
  const number = (title, field, digits = 4) => ({title, field, ...kRight, formatter: cell => shown(cell.getValue(), digits)});
  const probability = (title, field) => ({title, field, ...kRight, formatter: cell => cell.getValue() !== null && cell.getValue() < 0.0001 ? "<0.0001" : shown(cell.getValue())});
  const rows = data.comparisons.map(line => ({...line, sides: `${data.sides[line.side_a].label} → ${data.sides[line.side_b].label}`}));
  new Tabulator("#comparisons", {
    ...tableOptions, data: rows, groupBy: "sides", groupHeader: kPlainGroup,
    columns: [
      {title: "task", field: "task", formatter: cell => {
        const row = cell.getData();
        if (!cellOf(row.side_a, row.task)) return element("span", {}, `${row.task} (${counted(row.tasks?.length ?? 0, "task")})`);
        return element("a", {href: samplesLink({task: row.task, module: row.side_a, beside: row.side_b, metric: row.metric, filter: row.filter, show: "differ"})}, row.task);
      }},
      {title: "metric", field: "metric", formatter: cell => cell.getValue() + (cell.getData().filter === "none" ? "" : ` (${cell.getData().filter})`) + (cell.getData().higher_is_better ? " ↑" : " ↓")},
      {title: "documents", field: "n", ...kRight},
      number("first", "a"), number("second", "b"),
      {title: "difference", field: "difference", ...kRight, formatter: cell => {
        const row = cell.getData(), gain = row.higher_is_better ? row.difference : -row.difference, sure = row.p_adjusted !== null && row.p_adjusted <= 0.05;
        return element("span", {className: !sure ? "" : gain > 0 ? "better" : "worse"}, (row.difference > 0 ? "+" : "") + shown(row.difference));
      }},
      {title: "95 % interval", field: "low", formatter: cell => cell.getValue() === null ? "" : `[${shown(cell.getValue())}, ${shown(cell.getData().high)}]`},
      probability("p", "p"), probability("Holm's p", "p_adjusted"),
      {title: "better: first, second", field: "wins_a", ...kRight, formatter: cell => `${cell.getValue()}, ${cell.getData().wins_b}`},
      number("detectable", "detectable")]});
}

const mebibytes = bytes => bytes === null || bytes === undefined ? "" : (bytes / 2 ** 20).toFixed(1);

function showModules() {
  const rows = data.runs.flatMap((run, r) => Object.entries(run.modules).map(([module, totals]) => ({
    module: data.runs.length > 1 ? `${r + 1}: ${module}` : module, ...totals,
    cost: run.gpu_hour === null ? null : run.gpu_hour * totals.device_s / 3600})));
  const seconds = (title, field) => ({title, field, ...kRight, formatter: cell => shown(cell.getValue(), 2), bottomCalc: "sum", bottomCalcFormatter: cell => shown(cell.getValue(), 2)});
  const some = field => rows.some(row => row[field] !== null && row[field] !== undefined);
  new Tabulator("#modules", {
    ...tableOptions, data: rows,
    columns: [
      {title: "module", field: "module"}, {title: "visits", field: "visits", ...kRight, bottomCalc: "sum"},
      seconds("device s", "device_s"), seconds("load s", "load_s"), seconds("run s", "run_s"), seconds("teardown s", "teardown_s"),
      {title: "tokens", field: "tokens", ...kRight, bottomCalc: "sum"},
      {title: "peak MiB", field: "allocated_peak", ...kRight, formatter: cell => mebibytes(cell.getValue())},
      {title: "of the products' limit", field: "share_of_limit", ...kRight, formatter: cell => cell.getValue() === null ? "" : `${Math.round(100 * cell.getValue())} %`},
      ...(some("energy_j") ? [seconds("energy J", "energy_j")] : []),
      ...(some("cost") ? [{...seconds("cost", "cost"), formatter: cell => shown(cell.getValue(), 4), bottomCalcFormatter: cell => shown(cell.getValue(), 4)}] : [])]});
}

function showLedger() {
  const rows = data.runs.flatMap((run, r) => run.ledger.map(row => ({...row, run: r + 1, left: row.guest ? null : row.allocated_after - row.allocated_before})));
  const seconds = (title, field, digits = 2) => ({title, field, ...kRight, formatter: cell => shown(cell.getValue(), digits)});
  new Tabulator("#ledger", {
    ...tableOptions, data: rows, height: rows.length > 20 ? 560 : undefined,
    columns: [
      ...(data.runs.length > 1 ? [{title: "run", field: "run"}] : []),
      {title: "visit", field: "visit", ...kRight}, {title: "module", field: "module"}, {title: "worker", field: "worker"},
      {title: "member", field: "member", formatter: cell => `${cell.getValue()}/${cell.getData().members}`},
      {title: "verdict", field: "verdict", formatter: cell => element("span", {className: cell.getValue() === "clean" ? "better" : "worse"}, cell.getValue() + (cell.getData().guest ? " (outside)" : ""))},
      seconds("opened s", "opened_s"), seconds("load s", "load_s"), seconds("run s", "run_s"), seconds("teardown s", "teardown_s", 3),
      {title: "peak MiB", field: "allocated_peak", ...kRight, formatter: cell => mebibytes(cell.getData().guest ? cell.getData().outside?.pss_peak : cell.getValue())},
      {title: "left bytes", field: "left", ...kRight}, {title: "why", field: "reason"}]});
}

// ---- about the run

function plainTable(rows) {
  return element("table", {className: "plain"}, ...rows.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => element("tr", {}, element("th", {scope: "row"}, name), element("td", {}, value instanceof Node ? value : shown(value)))));
}

function folded(title, text) {
  return element("details", {}, element("summary", {}, title), element("pre", {}, text));
}

function showFacts() {
  for (const run of data.runs) {
    const device = run.device ?? {};
    document.getElementById("facts").append(element("h3", {}, run.folder), plainTable([
      ["state", run.state + (run.exit_code === null ? "" : `, exit code ${run.exit_code}`)],
      ["command", (run.command_line ?? []).join(" ")],
      ["nodes", (run.nodes ?? []).join(", ")],
      ["devices", `${run.devices} × ${device.kind ?? "?"}` + (device.instruction_set ? `, ${device.instruction_set}` : "")],
      ["LibTorch", device.torch_version], ["CUDA driver", device.cuda_driver], ["NCCL", device.nccl_version], ["images read by", device.image_decoders],
      ["seconds", run.seconds === null ? null : shown(run.seconds, 2) + (run.seconds_predicted ? ` (predicted ${shown(run.seconds_predicted, 2)})` : "")],
      ["utilisation", run.utilisation === null ? null : `${(100 * run.utilisation).toFixed(1)} %`],
      ["tokens", run.tokens_computed], ["device hours", shown(run.devices * run.timeline_seconds / 3600)],
      ["cost", run.gpu_hour === null ? null : `${shown(run.gpu_hour * run.devices * run.timeline_seconds / 3600)} at ${run.gpu_hour} a device and hour, from the first to the last`],
      ["best modules", Object.entries(run.chosen).map(([task, module]) => `${task} reads ${module}`).join(", ")]]));
    const unfinished = run.pairs.filter(pair => pair.done < pair.total);
    if (unfinished.length > 0)
      document.getElementById("facts").append(folded(`${unfinished.length} of ${counted(run.pairs.length, "pair")} not finished`, unfinished.map(pair => `${pair.module} / ${pair.task}: ${pair.done} of ${pair.total}`).join("\n")));
    if (run.failures.length > 0) document.getElementById("facts").append(folded(counted(run.failures.length, "failure"), run.failures.join("\n")));
    if ((run.events ?? []).length > 0) document.getElementById("facts").append(folded(counted(run.events.length, "event"), run.events.join("\n")));
    if (run.suite_file) document.getElementById("facts").append(folded("the suite as it was resolved", run.suite_file));
  }
}
