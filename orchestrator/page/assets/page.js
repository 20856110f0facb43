// The parts of the page: which is seen, keys, light and dark.
"use strict";

const kParts = {
  results: showLeader,
  samples: showSamples,
  comparison: showComparisons,
  time: () => { showModules(); showLedger(); },
  about: showFacts,
};
const drawn = new Set();

function showPart() {
  const name = location.hash.slice(1).split("?")[0], part = name in kParts ? name : "results";
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `part-${part}`;
  for (const link of document.querySelectorAll("nav a")) link.setAttribute("aria-current", link.getAttribute("href") === `#${part}` ? "page" : "false");
  if (part !== "samples" && drawn.has(part)) return;  // the samples follow the address
  drawn.add(part);
  kParts[part]();
}

function setDark(dark) {
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  document.documentElement.toggleAttribute("data-dark", dark);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") return by("list").focus();
  if (typing || by("part-samples").hidden) return;
  if (event.key === "/") { event.preventDefault(); by("search").focus(); }
  if (event.key === "j") move(1);
  if (event.key === "k") move(-1);
  if (event.target === by("list") && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  }
}

const run = data.runs[0];
by("summary").textContent = [
  run.state + (run.exit_code === null ? "" : `, exit code ${run.exit_code}`),
  counted(data.sides.filter(side => side.run === 0).length, "module"), counted(new Set(run.pairs.map(pair => pair.task)).size, "task"),
  counted(data.cells.reduce((sum, cell) => sum + cell.lines, 0), "sample"),
  run.failures.length > 0 ? counted(run.failures.length, "failure") : "",
  data.runs.length > 1 ? `beside ${data.runs[1].folder}` : ""].filter(Boolean).join(" · ");
document.querySelector('nav a[href="#comparison"]').hidden = data.comparisons.length === 0;
const darkWanted = matchMedia("(prefers-color-scheme: dark)");
setDark(darkWanted.matches);
darkWanted.onchange = () => setDark(darkWanted.matches);
by("theme").onclick = () => setDark(!document.documentElement.hasAttribute("data-dark"));
listenToChoice();
window.addEventListener("hashchange", showPart);
window.addEventListener("keydown", onKey);
showPart();
