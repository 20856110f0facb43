#include "orchestrator/commands/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <set>
#include <sstream>
#include <string_view>

#include "orchestrator/commands/option_values.h"
#include "orchestrator/commands/verbs.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

namespace po = boost::program_options;

constexpr const char* kHelp =
    "proctor: evaluates many models on many tasks over many GPUs in one job\n"
    "\n"
    "  proctor run SUITE [options]       run or resume a suite\n"
    "  proctor plan SUITE [options]      what a run would do; touches no device\n"
    "  proctor show DIR [options]        a run, running or finished\n"
    "  proctor render FOLDER             a model's chat template on conversations of your own\n"
    "  proctor autorag CONFIG [options]  an AutoRAG project\n"
    "  proctor compare RUN RUN           two modules on the same documents\n"
    "  proctor report DIR                a run as a page to look at in a browser\n"
    "  proctor export DIR --to FORMAT    a run for other programs: parquet, csv, jsonl, mlflow, inspect, hf-results\n"
    "  proctor --version                 its version, and the libraries and devices that it found\n"
    "  proctor COMMAND --help            the options of a command\n"
    "\n"
    "example: proctor run configs/demo.yaml --workers 2\n"
    "         mpirun -n 4 proctor run suite.yaml --workers 1\n";

/// What every verb that runs has.
void read_running(const OptionValues& values, RunOptions& run) {
  run.workers = values.workers();
  run.device = values.device();
  run.memory_limit_bytes = values.bytes("memory-limit");
  run.fresh = values.has("fresh");
  const std::string progress = values.one_of("progress", {"auto", "plain", "none"});
  run.progress = progress == "auto"    ? ProgressStyle::automatic
                 : progress == "plain" ? ProgressStyle::plain
                                       : ProgressStyle::none;
  run.quiet = values.has("quiet");
  if (run.quiet) run.progress = ProgressStyle::none;
  run.errors = values.errors();
}

RunOptions read_run(const OptionValues& values) {
  RunOptions run;
  read_running(values, run);
  run.suite = values.suite();
  run.out = values.path("out");
  run.limit = values.limit();
  run.settings = values.texts("set");
  run.allow_code = values.has("allow-code");
  run.allow_engines = values.has("allow-engines");
  run.redo_changed = values.has("redo-changed");
  run.prune = values.has("prune");
  run.notify = values.text("notify");
  run.gpu_hour = values.price();
  return run;
}

AutoragOptions read_autorag(const OptionValues& values) {
  AutoragOptions autorag;
  read_running(values, autorag.run);
  autorag.config = values.operand();
  for (const auto& [name, place] :
       {std::pair("qa", &autorag.qa), std::pair("corpus", &autorag.corpus), std::pair("project", &autorag.project)}) {
    if (!values.has(name)) throw UsageError("--" + std::string(name) + " is missing; see proctor autorag --help");
    *place = values.path(name);
  }
  autorag.models = values.texts("model");
  if (values.has("dtype")) autorag.dtype = values.one_of("dtype", {"auto", "float32", "bfloat16", "float16"});
  autorag.skip_unknown = values.has("skip-unknown");
  return autorag;
}

CompareOptions read_compare(const OptionValues& values) {
  CompareOptions compare;
  compare.sides = values.texts("positional");
  compare.against_lm_eval = values.path("against-lm-eval");
  const bool alone = !compare.against_lm_eval.empty();
  if (compare.sides.size() != (alone ? 1 : 2))
    throw UsageError(std::string("proctor compare takes ") + (alone ? "one run beside --against-lm-eval" : "two runs") +
                     ", found " + std::to_string(compare.sides.size()) + "; see proctor compare --help");
  compare.tasks = values.texts("task");
  compare.cluster = values.path("cluster");
  if (values.has("flips")) compare.flips = values.whole("flips", 1, 1'000'000);
  compare.fail_if_worse = values.has("fail-if-worse");
  if (values.has("margin")) {
    compare.margin = values.number("margin");
    if (!compare.fail_if_worse) throw UsageError("--margin goes with --fail-if-worse");
    if (!(compare.margin >= 0)) throw UsageError("--margin: expected 0 or more");
  }
  compare.json = values.has("json");
  return compare;
}

ReportOptions read_report(const OptionValues& values) {
  ReportOptions report;
  report.page.directory = values.operand();
  report.page.against = values.path("against");
  report.page.gpu_hour = values.price();
  report.out = values.path("out");
  return report;
}

ExportOptions read_export(const OptionValues& values) {
  ExportOptions one;
  one.directory = values.operand();
  if (!values.has("to")) throw UsageError("--to is missing; see proctor export --help");
  one.format = values.one_of("to", {"parquet", "csv", "jsonl", "mlflow", "inspect", "hf-results"});
  one.out = values.path("out");
  return one;
}

std::vector<std::uint32_t> read_gpus(const std::string& text) {
  std::vector<std::uint32_t> gpus;
  std::istringstream stream(text + ",");
  for (std::string part; std::getline(stream, part, ',');) {
    std::uint32_t n = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), n);
    if (error != std::errc() || end != part.data() + part.size() || n < 1 || n > 65536)
      throw UsageError("--gpus " + text + ": expected numbers of devices from 1 to 65536, such as 8,64");
    gpus.push_back(n);
  }
  return gpus;
}

PlanOptions read_plan(const OptionValues& values) {
  PlanOptions plan;
  plan.suite = values.suite();
  plan.start_engines = values.has("start-engines");
  plan.allow_engines = values.has("allow-engines") || plan.start_engines;
  plan.device = values.device();
  plan.limit = values.limit();
  plan.settings = values.texts("set");
  plan.workers = values.workers();
  plan.memory_limit_bytes = values.bytes("memory-limit");
  if (values.has("gpus")) plan.gpus = read_gpus(values.text("gpus"));
  plan.svg = values.path("svg");
  plan.gpu_hour = values.price();
  plan.calibrated_by = values.path("calibrated-by");
  plan.quiet = values.has("quiet");
  return plan;
}

ShowOptions read_show(const OptionValues& values) {
  ShowOptions show{values.operand(),     values.has("ledger"), values.has("failures"), values.has("timeline"),
                   values.path("trace"), values.path("svg"),   std::nullopt,           ""};
  if (values.has("format")) show.format = values.one_of("format", {"md", "csv", "latex"});
  using Which = SamplesView::Which;
  const std::pair<const char*, Which> parts[] = {
      {"wrong", Which::wrong}, {"failed", Which::failed}, {"truncated", Which::truncated}};
  if (values.has("samples")) {
    SamplesView& samples = show.samples.emplace();
    samples.directory = show.directory;
    samples.task = values.text("samples");
    samples.module = values.text("module");
  }
  for (const auto& [name, which] : parts) {
    if (!values.has(name)) continue;
    if (!show.samples) throw UsageError("--" + std::string(name) + " goes with --samples");
    if (show.samples->which != Which::all) throw UsageError("--wrong, --failed and --truncated exclude each other");
    show.samples->which = which;
  }
  if (values.has("module") && !show.samples) throw UsageError("--module goes with --samples");
  return show;
}

bool asks_for_help(const std::string& argument) { return argument == "--help" || argument == "-h"; }

template <class Read>
Options parsed(Verb verb, const std::vector<std::string>& arguments, Options::Command command, Read&& read) {
  verb.options.add_options()("errors", po::value<std::string>()->default_value("text"),
                             "how an error that ends it is written on standard error: text, or json, one line")(
      "help", "this text");
  Options out;
  if (std::any_of(arguments.begin(), arguments.end(), asks_for_help)) {
    out.help = verb.help();
    return out;
  }
  out.command = command;
  const OptionValues values(verb, arguments);
  (void)values.errors();  // main has read it; here it is judged
  read(out, values);
  return out;
}

}  // namespace

ErrorStyle error_style(int argc, char** argv) {
  for (int a = 1; a < argc; ++a) {
    const std::string_view one = argv[a], next = a + 1 < argc ? argv[a + 1] : "";
    if (one == "--errors=json" || (one == "--errors" && next == "json")) return ErrorStyle::json;
  }
  return ErrorStyle::text;
}

Options parse_options(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  Options out;
  out.help = kHelp;
  if (arguments.empty() || asks_for_help(arguments[0]) || arguments[0] == "help") return out;
  const std::string& name = arguments[0];
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (name == "--version" || name == "version") {
    out.command = Options::Command::version;
  } else if (name == "run") {
    out = parsed(run_verb(), rest, Options::Command::run, [](auto& o, const auto& v) { o.run = read_run(v); });
    out.run.command_line.assign(argv, argv + argc);
  } else if (name == "plan") {
    out = parsed(plan_verb(), rest, Options::Command::plan, [](auto& o, const auto& v) { o.plan = read_plan(v); });
  } else if (name == "show") {
    out = parsed(show_verb(), rest, Options::Command::show, [](auto& o, const auto& v) { o.show = read_show(v); });
  } else if (name == "render") {
    out = parsed(render_verb(), rest, Options::Command::render, [](auto& o, const auto& v) { o.render = v.operand(); });
  } else if (name == "autorag") {
    out = parsed(autorag_verb(), rest, Options::Command::autorag,
                 [](auto& o, const auto& v) { o.autorag = read_autorag(v); });
    out.autorag.run.command_line.assign(argv, argv + argc);
  } else if (name == "compare") {
    out = parsed(compare_verb(), rest, Options::Command::compare,
                 [](auto& o, const auto& v) { o.compare = read_compare(v); });
  } else if (name == "export") {
    out = parsed(export_verb(), rest, Options::Command::export_run,
                 [](auto& o, const auto& v) { o.export_run = read_export(v); });
  } else if (name == "report") {
    out = parsed(report_verb(), rest, Options::Command::report,
                 [](auto& o, const auto& v) { o.report = read_report(v); });
  } else {
    const std::string near = nearest(name, {"run", "plan", "show", "render", "autorag", "compare", "report", "export",
                                            "help", "--version", "--help"});
    throw UsageError("command '" + name + "' is not known (run, plan, show, render, autorag, compare, report, export)" +
                     (near.empty() ? "" : "; did you mean '" + near + "'?") + "; see proctor --help");
  }
  return out;
}

}  // namespace proctor
