#include "orchestrator/commands/options.h"

#include <gtest/gtest.h>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

Options parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "proctor");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return parse_options(static_cast<int>(pointers.size()), pointers.data());
}
std::string refusal(const std::vector<std::string>& arguments) {
  try {
    parse(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Options, run_with_everything) {
  const RunOptions run = parse({"run",      "s.yaml",     "--out",
                                "d",        "--workers",  "3",
                                "--device", "cpu",        "--limit",
                                "5",        "--set",      "a.b=c",
                                "--set",    "d=e",        "--memory-limit",
                                "2 GiB",    "--fresh",    "--redo-changed",
                                "--prune",  "--progress", "none"})
                             .run;
  EXPECT_EQ(run.suite.path, "s.yaml");
  EXPECT_EQ(run.workers, 3u);
  EXPECT_EQ(run.limit, DocumentLimit(5));
  EXPECT_EQ(run.settings, (std::vector<std::string>{"a.b=c", "d=e"}));
  EXPECT_EQ(run.memory_limit_bytes, 2ull << 30);
  EXPECT_TRUE(run.fresh && run.redo_changed && run.prune);
  EXPECT_EQ(run.progress, ProgressStyle::none);
}

TEST(Options, autorag_names_its_files) {
  const AutoragOptions autorag = parse({"autorag", "c.yaml", "--qa", "q", "--corpus", "p", "--project", "d", "--model",
                                        "a=b", "--model", "c=d", "--dtype", "float32", "--skip-unknown", "--quiet"})
                                     .autorag;
  EXPECT_EQ(autorag.config + autorag.qa + autorag.corpus + autorag.project, "c.yamlqpd");
  EXPECT_EQ(autorag.models, (std::vector<std::string>{"a=b", "c=d"}));
  EXPECT_EQ(autorag.dtype, "float32");
  EXPECT_TRUE(autorag.skip_unknown && autorag.run.quiet && !autorag.run.fresh);
  EXPECT_EQ(refusal({"autorag", "c.yaml", "--qa", "q", "--corpus", "p"}),
            "--project is missing; see proctor autorag --help");
  EXPECT_NE(refusal({"autorag", "c.yaml", "--corpos", "p"}).find("did you mean --corpus?"), std::string::npos);
  EXPECT_NE(refusal({"autorag", "c.yaml", "--qa", "q", "--corpus", "p", "--project", "d", "--dtype", "int8"})
                .find("expected one of auto, bfloat16"),
            std::string::npos);
}

TEST(Options, plan_and_show_take_files_and_numbers) {
  const Options plan = parse({"plan", "s", "--gpus", "8,64", "--svg", "p.svg", "--calibrated-by", "runs/x"});
  EXPECT_EQ(plan.plan.gpus, (std::vector<std::uint32_t>{8, 64}));
  EXPECT_EQ(plan.plan.svg, "p.svg");
  EXPECT_EQ(plan.plan.calibrated_by, "runs/x");
  const Options show = parse({"show", "runs/x", "--timeline", "--trace", "t.json"});
  EXPECT_TRUE(show.show.timeline);
  EXPECT_EQ(show.show.trace, "t.json");
}

TEST(Options, help_is_everywhere_and_has_an_example) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"--help"},
                                                    {"run", "--help"},
                                                    {"plan", "--help"},
                                                    {"show", "--help"},
                                                    {"autorag", "--help"}}) {
    const Options options = parse(arguments);
    EXPECT_EQ(options.command, Options::Command::help);
    EXPECT_NE(options.help.find("example: "), std::string::npos);
  }
}

TEST(Options, wrong_ones_are_refused_with_what_to_do) {
  EXPECT_NE(refusal({"run", "s", "--workers", "0"}).find("--workers 0: expected 1 to 1024"), std::string::npos);
  EXPECT_NE(refusal({"run"}).find("takes one SUITE, found 0"), std::string::npos);
  EXPECT_NE(refusal({"run", "s", "--devise", "cpu"}).find("no option --devise; did you mean --device?"),
            std::string::npos);
  EXPECT_NE(refusal({"run", "s", "--device", "tpu"}).find("expected one of auto, cpu, cuda"), std::string::npos);
  EXPECT_NE(refusal({"run", "s", "--limit", "0"}).find("at least 1"), std::string::npos);
  EXPECT_NE(
      refusal({"walk"}).find("command 'walk' is not known (run, plan, show, render, autorag, compare, report, export)"),
      std::string::npos);
  for (const char* gpus : {"", "0", "8,", "8 16", "-1", "70000"})
    EXPECT_NE(refusal({"plan", "s", "--gpus", gpus}).find("expected numbers of devices"), std::string::npos) << gpus;
  EXPECT_NE(refusal({"run", "s", "--gpus", "8"}).find("--gpus"), std::string::npos) << "run takes what there is";
  EXPECT_NE(refusal({"run", "s", "--memory-limit", "lots"}).find("8 GiB"), std::string::npos);
}

TEST(Options, quiet_leaves_no_progress) {
  EXPECT_FALSE(parse({"run", "s"}).run.quiet || parse({"plan", "s"}).plan.quiet);
  const RunOptions run = parse({"run", "s", "--quiet", "--progress", "plain"}).run;
  EXPECT_TRUE(run.quiet);
  EXPECT_EQ(run.progress, ProgressStyle::none);
  EXPECT_TRUE(parse({"plan", "s", "--quiet"}).plan.quiet);
}

ErrorStyle style_of(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return error_style(static_cast<int>(pointers.size()), pointers.data());
}

TEST(Options, every_command_writes_its_errors_as_asked) {
  EXPECT_EQ(parse({"run", "s"}).run.errors, ErrorStyle::text);
  EXPECT_EQ(parse({"run", "s", "--errors", "json"}).run.errors, ErrorStyle::json);
  for (const char* command : {"run", "plan", "show", "render"}) {
    EXPECT_EQ(refusal({command, "x", "--errors=json"}), "accepted") << command;
    EXPECT_NE(refusal({command, "x", "--errors", "xml"}).find("--errors xml: expected one of json, text"),
              std::string::npos);
  }
  EXPECT_EQ(style_of({"proctor", "walk", "--errors", "json"}), ErrorStyle::json) << "of a command that is not there";
  EXPECT_EQ(style_of({"proctor", "run", "--errors=json"}), ErrorStyle::json);
  EXPECT_EQ(style_of({"proctor", "run", "--errors"}), ErrorStyle::text);
  EXPECT_EQ(style_of({"proctor"}), ErrorStyle::text);
}

TEST(Options, a_limit_is_a_count_or_a_share) {
  EXPECT_EQ(parse({"run", "s", "--limit", "0.25"}).run.limit, DocumentLimit(0.25));
  EXPECT_EQ(DocumentLimit(0.25).of(10), 3u) << "rounded up";
  EXPECT_EQ(DocumentLimit(3).of(10), 3u);
  EXPECT_EQ(DocumentLimit(30).of(10), 10u);
  EXPECT_EQ(DocumentLimit().of(10), 10u);
  for (const char* limit : {"-1", "1.5", "x", "", "nan", "inf", "1e30"})
    EXPECT_NE(refusal({"run", "s", "--limit", limit}).find("expected at least 1 document"), std::string::npos) << limit;
}

TEST(Options, models_and_tasks_may_be_named_without_a_suite) {
  const SuiteSource source = parse({"run", "--model", "m", "--model", "n", "--tasks", "t*.yaml", "--num-fewshot", "3",
                                    "--dtype", "bfloat16", "--tensor-parallel", "2"})
                                 .run.suite;
  EXPECT_EQ(source.models, (std::vector<std::string>{"m", "n"}));
  EXPECT_EQ(source.tasks, std::vector<std::string>{"t*.yaml"});
  EXPECT_EQ(source.fewshot, 3);
  EXPECT_EQ(source.dtype, "bfloat16");
  EXPECT_EQ(source.tensor_parallel, 2u);
  EXPECT_NE(refusal({"run", "--model", "m"}).find("--tasks is missing"), std::string::npos);
  EXPECT_NE(refusal({"plan", "s", "--model", "m", "--tasks", "t"}).find("exclude each other"), std::string::npos);
  EXPECT_NE(refusal({"run", "s", "--dtype", "float32"}).find("goes with --model"), std::string::npos);
}

TEST(Options, each_command_has_its_own_options) {
  for (const char* option : {"--fresh", "--redo-changed", "--prune", "--progress=plain", "--out=x"}) {
    EXPECT_NE(refusal({"plan", "s", option}).find("proctor plan has no option"), std::string::npos) << option;
    EXPECT_NE(refusal({"show", "d", option}).find("proctor show has no option"), std::string::npos) << option;
  }
  EXPECT_NE(refusal({"show", "d", "--device", "cpu"}).find("no option --device"), std::string::npos);
  EXPECT_EQ(parse({"plan", "--help"}).help.find("--fresh"), std::string::npos);
  EXPECT_EQ(parse({"plan", "--help"}).help.find("options of run"), std::string::npos);
  EXPECT_EQ(parse({"plan", "s", "--memory-limit", "40 GiB", "--workers", "3"}).plan.memory_limit_bytes, 40ull << 30);
}

TEST(Options, the_version_is_asked_for_by_its_own_option) {
  EXPECT_EQ(parse({"--version"}).command, Options::Command::version);
  EXPECT_NE(refusal({"--versoin"}).find("did you mean '--version'?"), std::string::npos);
}

}  // namespace
}  // namespace proctor
