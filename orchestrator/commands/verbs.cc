#include "orchestrator/commands/verbs.h"

#include <sstream>

namespace proctor {
namespace {

namespace po = boost::program_options;

/// Of the verbs that read a suite.
void add_suite_options(po::options_description& options) {
  options.add_options()("device", po::value<std::string>()->default_value("auto"), "auto, cpu or cuda")(
      "limit", po::value<std::string>(), "the first N documents of each task only, or a share of them: 0.1")(
      "set", po::value<std::vector<std::string>>()->composing(),
      "a change to the suite: modules.NAME.dtype=bfloat16, tasks.NAME.fewshot.count=2")(
      "model", po::value<std::vector<std::string>>()->composing(),
      "without a suite file: a model's folder, or its name in the Hugging Face cache; again for another")(
      "tasks", po::value<std::vector<std::string>>()->composing(), "with --model: a task file or glob; again for more")(
      "num-fewshot", po::value<std::int64_t>(), "with --model: few-shot examples of each task")(
      "dtype", po::value<std::string>(), "with --model: auto, float32, bfloat16 or float16")(
      "tensor-parallel", po::value<std::int64_t>(), "with --model: devices that hold it together")(
      "quiet", "results and errors only: no progress, no notes");
}

}  // namespace

std::string Verb::help() const {
  std::ostringstream text;
  text << "proctor " << name << " " << operand << " [options]: " << purpose << "\n\n"
       << options << "\nexample: proctor " << name << " " << example << "\n";
  return text.str();
}

Verb run_verb() {
  Verb verb{"run", "SUITE", "run or resume a suite (-: of standard input)", "configs/demo.yaml --workers 2",
            po::options_description("options of run")};
  add_suite_options(verb.options);
  verb.options.add_options()("out", po::value<std::string>(), "the run directory (default runs/<suite>)")(
      "workers", po::value<std::int64_t>(), "workers of each rank (default: its devices, or cores and memory)")(
      "memory-limit", po::value<std::string>(), "host bytes of a worker's tensors: 8 GiB")(
      "fresh", "rename what is in the run directory and start over")(
      "allow-code", "let tasks' metrics in Python run (metrics: [{python: FILE.py:FUNCTION}])")(
      "allow-engines", "let engines that are not proctor's run (modules: [{engine: vllm, ...}])")(
      "redo-changed", "compute (module, task) pairs again whose identity changed")(
      "prune", "remove the results of modules that the suite no longer has")(
      "notify", po::value<std::string>(),
      "a shell command that is told of a lost device and of the end, as JSON on its standard input")(
      "price", po::value<double>(), "what a device costs an hour: what the run cost is told")(
      "progress", po::value<std::string>()->default_value("auto"), "auto, plain or none");
  return verb;
}

Verb plan_verb() {
  Verb verb{"plan", "SUITE", "what a run would do; touches no device", "configs/demo.yaml --gpus 2,8",
            po::options_description("options of plan")};
  add_suite_options(verb.options);
  verb.options.add_options()("gpus", po::value<std::string>(),
                             "devices to plan for: 8, or 8,64,512 (default: this machine's)")(
      "workers", po::value<std::int64_t>(), "the same as --gpus, for one number (as run has it)")(
      "memory-limit", po::value<std::string>(), "memory of each device: 40 GiB (default: what it has)")(
      "svg", po::value<std::string>(), "write a picture of who does what when, for the first of --gpus")(
      "price", po::value<double>(), "what a device costs an hour: the table has what a run would cost")(
      "allow-engines", "let engines that are not proctor's say what they are (modules: [{engine: vllm, ...}])")(
      "start-engines", "start each of them once, with two requests, and say what was found")(
      "calibrated-by", po::value<std::string>(),
      "predict from what this finished run measured (default: from all runs on this machine)");
  return verb;
}

Verb render_verb() {
  return {"render", "FOLDER",
          "conversations, a JSON object a line, by the folder's chat template: a JSON string a line",
          "models/smollm2-135m-instruct <<< '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], "
          "\"add_generation_prompt\": true}'",
          po::options_description("options of render")};
}

Verb show_verb() {
  Verb verb{"show", "DIR", "a run, running or finished", "runs/demo --ledger",
            po::options_description("options of show")};
  verb.options.add_options()("ledger", "each visit: what it cost and left behind")(
      "failures", "requests that failed, warnings, replaced workers")("timeline", "who did what when, a line a device")(
      "trace", po::value<std::string>(), "write it as Chrome-trace JSON, for https://ui.perfetto.dev")(
      "svg", po::value<std::string>(), "write it as a picture")(
      "samples", po::value<std::string>()->implicit_value(""),
      "what was asked, answered and scored: of a task, or of all")("module", po::value<std::string>(),
                                                                   "with --samples: of this module only")(
      "wrong", "with --samples: with a score below 1 only")("failed", "with --samples: those that failed only")(
      "truncated", "with --samples: those longer than the model only")("format", po::value<std::string>(),
                                                                       "one table, tasks by modules: md, csv or latex");
  return verb;
}

Verb autorag_verb() {
  Verb verb{"autorag", "CONFIG", "an AutoRAG project on proctor's ranks",
            "config.yaml --qa qa.parquet --corpus corpus.parquet --project DIR",
            po::options_description("options of autorag")};
  verb.options.add_options()("qa", po::value<std::string>(), "the questions, a Parquet file")(
      "corpus", po::value<std::string>(), "the passages, a Parquet file")("project", po::value<std::string>(),
                                                                          "the project's folder, as AutoRAG writes it")(
      "model", po::value<std::vector<std::string>>()->composing(),
      "where a model lies that the configuration names: NAME=FOLDER; again for another")(
      "dtype", po::value<std::string>(), "of models: auto, float32, bfloat16 or float16")(
      "skip-unknown", "leave out modules and metrics that are not there")("fresh", "begin another trial")(
      "device", po::value<std::string>()->default_value("auto"), "auto, cpu or cuda")(
      "workers", po::value<std::int64_t>(), "workers of each rank (default: its devices, or cores and memory)")(
      "memory-limit", po::value<std::string>(), "host bytes of a worker's tensors: 8 GiB")(
      "quiet", "results and errors only: no progress, no notes")(
      "progress", po::value<std::string>()->default_value("auto"), "auto, plain or none");
  return verb;
}

Verb report_verb() {
  Verb verb{"report", "DIR", "a run as one HTML file: figures, every sample, timeline, ledger",
            "runs/demo --against runs/demo-before", po::options_description("options of report")};
  verb.options.add_options()("against", po::value<std::string>(), "another run, beside it and compared with it")(
      "price", po::value<double>(), "what a device costs an hour: the page has what modules cost")(
      "out", po::value<std::string>(), "the file (default: report.html in the run directory)");
  return verb;
}

Verb export_verb() {
  Verb verb{"export", "DIR", "a run in the form of another program", "runs/demo --to parquet --out tables",
            po::options_description("options of export")};
  verb.options.add_options()("to", po::value<std::string>(), "parquet, csv, jsonl, mlflow, inspect or hf-results")(
      "out", po::value<std::string>(), "the folder (default: export/FORMAT in the run directory)");
  return verb;
}

Verb compare_verb() {
  Verb verb{"compare", "RUN", "two modules on the same documents: RUN[:MODULE] RUN[:MODULE]",
            "runs/demo:smollm2-fp32 runs/demo:smollm2-bf16", po::options_description("options of compare")};
  verb.options.add_options()("task", po::value<std::vector<std::string>>()->composing(),
                             "this task alone; again for another")(
      "cluster", po::value<std::string>(), "a field of the rows: documents that share its value are not independent")(
      "flips", po::value<std::int64_t>(), "documents told of each line and side that it alone is better on")(
      "fail-if-worse", "exit code 6 where the second is significantly worse")(
      "margin", po::value<double>(), "with --fail-if-worse: worse by more than this")(
      "against-lm-eval", po::value<std::string>(), "a folder of lm-eval's results, in place of the second")("json",
                                                                                                            "as JSON");
  return verb;
}

}  // namespace proctor
