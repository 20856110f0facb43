// The table across modules: which rows, in which order, what is best, and how each format writes it.
#include "orchestrator/report/module_table.h"

#include <gtest/gtest.h>

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

Json results(double acc, double perplexity) {
  return {{"results",
           {{"t_2", {{"alias", "t_2"}, {"acc,none", acc}, {"acc_stderr,none", 0.01}, {"exact_match,strict", 0.5}}},
            {"roll", {{"word_perplexity,none", perplexity}, {"word_perplexity_stderr,none", "N/A"}}}}}};
}

const std::vector<std::pair<std::string, Json>> kModules = {{"a_1", results(0.25, 9)}, {"b", results(0.5, 10)}};

TEST(ModuleTable, the_best_of_a_row_is_bold_by_what_its_metric_wants) {
  EXPECT_EQ(module_table(kModules, {"roll", "t_2"}, TableFormat::markdown),
            "| task | metric | a_1 | b |\n"
            "|---|---|---:|---:|\n"
            "| roll | word_perplexity ↓ | **9.0000** | 10.0000 |\n"
            "| t_2 | acc ↑ | 0.2500 ± 0.0196 | **0.5000** ± 0.0196 |\n"
            "| t_2 | exact_match (strict) ↑ | **0.5000** | **0.5000** |\n");
}

TEST(ModuleTable, a_module_without_a_task_has_an_empty_cell_and_is_no_rival) {
  auto modules = kModules;
  modules[1].second["results"].erase("t_2");
  EXPECT_NE(module_table(modules, {"t_2"}, TableFormat::markdown).find("| t_2 | acc ↑ | 0.2500 ± 0.0196 |  |\n"),
            std::string::npos);
}

TEST(ModuleTable, csv_is_in_full_and_latex_escapes) {
  EXPECT_EQ(module_table(kModules, {"t_2", "roll"}, TableFormat::csv),
            "task,metric,filter,a_1,a_1 stderr,b,b stderr\n"
            "t_2,acc,none,0.25,0.01,0.5,0.01\n"
            "t_2,exact_match,strict,0.5,,0.5,\n"
            "roll,word_perplexity,none,9,,10,\n");
  const std::string latex = module_table(kModules, {"t_2"}, TableFormat::latex);
  EXPECT_NE(latex.find("task & metric & a\\_1 & b \\\\\n"), std::string::npos) << latex;
  EXPECT_NE(latex.find("t\\_2 & acc $\\uparrow$ & 0.2500 $\\pm$ 0.0196 & \\textbf{0.5000} $\\pm$ 0.0196 \\\\\n"),
            std::string::npos)
      << latex;
}

TEST(ModuleTable, what_is_no_results_file_is_an_exception) {
  EXPECT_THROW((void)module_table({{"x", Json::array()}}, {}, TableFormat::csv), Json::exception);
  EXPECT_THROW((void)module_table({{"x", {{"results", 3}}}}, {}, TableFormat::csv), Json::exception);
}

}  // namespace
}  // namespace proctor
