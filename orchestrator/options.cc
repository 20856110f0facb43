#include "orchestrator/options.h"

#include <boost/program_options.hpp>
#include <charconv>
#include <set>
#include <sstream>

#include "orchestrator/yaml_fields.h"
#include "sharding/error.h"

namespace proctor {
namespace {

namespace po = boost::program_options;

constexpr const char* kHelp =
    "proctor: evaluates many models on many tasks over many GPUs in one job\n"
    "\n"
    "  proctor run SUITE [options]       run a suite, or go on with it\n"
    "  proctor plan SUITE [options]      what would happen; touches no device\n"
    "  proctor show DIR [options]        a run, running or finished\n"
    "  proctor COMMAND --help            the options of a command\n"
    "\n"
    "example: proctor run configs/demo.yaml --workers 2\n"
    "         mpirun -n 4 proctor run suite.yaml --workers 1\n";

po::options_description run_options() {
  po::options_description options("options of run");
  options.add_options()("out", po::value<std::string>(), "the run directory (default runs/<suite>)")(
      "workers", po::value<std::int64_t>(), "workers of each rank (default: its devices, or cores and memory)")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu or cuda")(
      "limit", po::value<std::int64_t>(), "the first N documents of each task only")(
      "set", po::value<std::vector<std::string>>()->composing(), "a change to the suite: modules.NAME.dtype=bfloat16")(
      "memory-limit", po::value<std::string>(), "host bytes of a worker's tensors: 8 GiB")(
      "fresh", "rename what is in the run directory and begin anew")(
      "redo-changed", "compute (module, task) pairs again whose identity changed")(
      "progress", po::value<std::string>()->default_value("auto"), "auto, plain or none")("help", "this text");
  return options;
}

std::string usage(const std::string& line, const po::options_description& options, const std::string& example) {
  std::ostringstream text;
  text << line << "\n\n" << options << "\nexample: " << example << "\n";
  return text.str();
}

po::variables_map parse(const std::vector<std::string>& arguments, po::options_description options,
                        const std::string& command) {
  options.add_options()("positional", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("positional", -1);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments)
                  .options(options)
                  .positional(positional)
                  .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
                  .run(),
              values);
    po::notify(values);
  } catch (const po::error& error) {
    throw UsageError(std::string(error.what()) + "; see proctor " + command + " --help");
  }
  return values;
}

std::string one_positional(const po::variables_map& values, const std::string& what, const std::string& command) {
  const auto given =
      values.count("positional") ? values["positional"].as<std::vector<std::string>>() : std::vector<std::string>{};
  if (given.size() != 1)
    throw UsageError("proctor " + command + " takes one " + what + ", found " + std::to_string(given.size()) +
                     "; see proctor " + command + " --help");
  return given[0];
}

std::string one_of(const std::string& option, const std::string& value, const std::set<std::string>& known) {
  if (known.contains(value)) return value;
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  throw UsageError("--" + option + " " + value + ": expected one of " + list);
}

RunOptions read_run(const po::variables_map& values, const std::string& command) {
  RunOptions run;
  run.suite = one_positional(values, "SUITE", command);
  if (values.count("out")) run.out = values["out"].as<std::string>();
  if (values.count("workers")) {
    const auto workers = values["workers"].as<std::int64_t>();
    if (workers < 1 || workers > 1024)
      throw UsageError("--workers " + std::to_string(workers) +
                       ": expected at least 1 (a rank without workers would compute nothing)");
    run.workers = static_cast<std::uint32_t>(workers);
  }
  run.device = one_of("device", values["device"].as<std::string>(), {"auto", "cpu", "cuda"});
  if (values.count("limit")) {
    const auto limit = values["limit"].as<std::int64_t>();
    if (limit < 1) throw UsageError("--limit " + std::to_string(limit) + ": expected at least 1 document");
    run.limit = static_cast<std::size_t>(limit);
  }
  if (values.count("set")) run.settings = values["set"].as<std::vector<std::string>>();
  if (values.count("memory-limit")) {
    const auto bytes = parse_bytes(values["memory-limit"].as<std::string>());
    if (!bytes || *bytes == 0)
      throw UsageError("--memory-limit " + values["memory-limit"].as<std::string>() +
                       ": expected a size such as 8 GiB");
    run.memory_limit_bytes = *bytes;
  }
  run.fresh = values.count("fresh") > 0;
  run.redo_changed = values.count("redo-changed") > 0;
  const std::string progress = one_of("progress", values["progress"].as<std::string>(), {"auto", "plain", "none"});
  run.progress = progress == "auto"    ? ProgressStyle::automatic
                 : progress == "plain" ? ProgressStyle::plain
                                       : ProgressStyle::none;
  return run;
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

Options parse_show(const std::vector<std::string>& arguments) {
  po::options_description options("options of show");
  options.add_options()("ledger", "each visit: what it cost and left behind")(
      "failures", "requests that failed, warnings, replaced workers")("timeline", "who did what when, a line a device")(
      "trace", po::value<std::string>(), "write it as Chrome-trace JSON, for https://ui.perfetto.dev")(
      "svg", po::value<std::string>(), "write it as a picture")("help", "this text");
  const auto values = parse(arguments, options, "show");
  Options out;
  if (values.count("help")) {
    out.help =
        usage("proctor show DIR [options]: a run, running or finished", options, "proctor show runs/demo --ledger");
    return out;
  }
  out.command = Options::Command::show;
  out.show.directory = one_positional(values, "DIR", "show");
  out.show.ledger = values.count("ledger") > 0;
  out.show.failures = values.count("failures") > 0;
  out.show.timeline = values.count("timeline") > 0;
  if (values.count("trace")) out.show.trace = values["trace"].as<std::string>();
  if (values.count("svg")) out.show.svg = values["svg"].as<std::string>();
  return out;
}

Options parse_run(const std::vector<std::string>& arguments, Options::Command command) {
  const bool plan = command == Options::Command::plan;
  const std::string name = plan ? "plan" : "run";
  po::options_description options = run_options();
  if (plan)
    options.add_options()("gpus", po::value<std::string>(),
                          "devices to plan for: 8, or 8,64,512 (default: this machine's)")(
        "svg", po::value<std::string>(), "write a picture of who does what when, for the first of --gpus")(
        "calibrated-by", po::value<std::string>(),
        "predict by what this finished run measured (default: by all runs here)");
  const auto values = parse(arguments, options, name);
  Options out;
  if (values.count("help")) {
    out.help = usage("proctor " + name + " SUITE [options]: " +
                         (plan ? "what a run would do; touches no device" : "run a suite, or go on with it"),
                     options, "proctor " + name + " configs/demo.yaml " + (plan ? "--gpus 2,8" : "--workers 2"));
    return out;
  }
  out.command = command;
  out.run = read_run(values, name);
  if (values.count("gpus")) out.plan.gpus = read_gpus(values["gpus"].as<std::string>());
  if (plan && values.count("svg")) out.plan.svg = values["svg"].as<std::string>();
  if (values.count("calibrated-by")) out.plan.calibrated_by = values["calibrated-by"].as<std::string>();
  return out;
}

}  // namespace

Options parse_options(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  Options out;
  out.help = kHelp;
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" || arguments[0] == "help") return out;
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (arguments[0] == "run")
    out = parse_run(rest, Options::Command::run);
  else if (arguments[0] == "plan")
    out = parse_run(rest, Options::Command::plan);
  else if (arguments[0] == "show")
    out = parse_show(rest);
  else
    throw UsageError("command '" + arguments[0] + "' is not known (run, plan, show); see proctor --help");
  out.run.command_line.assign(argv, argv + argc);
  return out;
}

}  // namespace proctor
