// trec_eval's measures against trec_eval's own output; the task types that embed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/planning/work.h"
#include "orchestrator/scoring/cell_score.h"
#include "orchestrator/suite/task_file.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = fs::path(PROCTOR_SOURCE) / "tests/data/trec_eval";

TEST(RetrievalMetrics, are_trec_evals_to_four_digits) {
  std::map<std::string, Judgments> judgments;
  std::map<std::string, std::vector<Ranked>> rankings;
  std::string query, skipped, passage, rank, run, name, value;
  int relevance = 0;
  double score = 0;
  for (std::ifstream file(kGolden / "qrels.test"); file >> query >> skipped >> passage >> relevance;)
    judgments[query][passage] = relevance;
  for (std::ifstream file(kGolden / "results.test"); file >> query >> skipped >> passage >> rank >> score >> run;)
    rankings[query].push_back({passage, score});
  for (auto& [one, ranking] : rankings) sort_as_trec_eval(ranking);
  std::map<std::string, int> compared;
  for (std::ifstream file(kGolden / "out.test.aq"); file >> name >> query >> value;) {
    if (!is_retrieval_metric(name)) continue;
    double mean = 0;
    for (const auto& [one, ranking] : rankings)
      if (query == "all")
        mean += *retrieval_metric(name, ranking, judgments[one]) / static_cast<double>(rankings.size());
      else if (query == one)
        mean = *retrieval_metric(name, ranking, judgments[one]);
    char text[32];
    std::snprintf(text, sizeof text, "%.4f", mean);
    EXPECT_EQ(text, value) << name << " of " << query;
    ++compared[name];
  }
  for (const char* offered : {"map", "map_cut_10", "ndcg", "ndcg_cut_10", "recall_100", "P_10", "success_5", "Rprec",
                              "recip_rank", "P_1000", "ndcg_cut_1000"})
    EXPECT_GE(compared[offered], 2) << offered;
}

TEST(RetrievalMetrics, equal_scores_go_by_name_downwards_and_nothing_relevant_is_0) {
  std::vector<Ranked> ranking = {{"a", 1}, {"b", 2}, {"c", 1}};
  sort_as_trec_eval(ranking);
  EXPECT_EQ(ranking[0].passage + ranking[1].passage + ranking[2].passage, "bca");
  EXPECT_EQ(retrieval_metric("map", ranking, {{"a", 0}}), 0);
  EXPECT_EQ(retrieval_metric("recip_rank", ranking, {{"a", 1}}), 1.0 / 3);
  EXPECT_EQ(retrieval_metric("P_10", ranking, {{"a", 2}}), 0.1) << "of ten places, however few are filled";
  for (const char* wrong : {"P", "P_", "P_0", "P_x", "ndcg_cut", "map_10", "MAP10"})
    EXPECT_FALSE(is_retrieval_metric(wrong)) << wrong;
}

/// By hand from AutoRAG's formulas: relevant a, c and x; listed a, b, c, d.
TEST(RetrievalMetrics, autorags_are_by_its_formulas) {
  const std::vector<Ranked> ranking = {{"a", 4}, {"b", 3}, {"c", 2}, {"d", 1}};
  const Judgments judgments = {{"a", 1}, {"c", 3}, {"x", 1}, {"b", 0}};
  const auto metric = [&](const char* name) { return retrieval_metric(name, ranking, judgments).value(); };
  EXPECT_NEAR(metric("autorag_recall"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(metric("autorag_precision"), 2.0 / 4, 1e-12);
  EXPECT_NEAR(metric("autorag_f1"), 4.0 / 7, 1e-12);
  EXPECT_NEAR(metric("autorag_ndcg"), (1 + 0.5) / (1 + 1 / std::log2(3.0) + 0.5), 1e-12) << "gains are 0 or 1";
  EXPECT_NEAR(metric("autorag_mrr"), (1 + 1.0 / 3) / 3, 1e-12)
      << "the mean over relevant passages, not the first alone";
  EXPECT_NEAR(metric("autorag_map"), (1 + 1.0 / 3) / 3, 1e-12);
  EXPECT_NEAR(metric("autorag_precision_2"), 1.0 / 2, 1e-12);
  EXPECT_NEAR(metric("autorag_ndcg_2"), 1 / (1 + 1 / std::log2(3.0)), 1e-12);
  EXPECT_FALSE(is_retrieval_metric("autorag_ndcg_cut_10"));
  EXPECT_FALSE(retrieval_metric("autorag_recall", ranking, {{"a", 0}})) << "a question that has no answer";
}

TEST(Correlations, are_scipys) {
  const std::vector<double> a = {1, 2, 2, 4}, b = {0.5, 3, 1, 10};
  EXPECT_NEAR(spearman(a, b), 0.9486832980505138, 1e-15) << "scipy.stats.spearmanr: equal values share their rank";
  EXPECT_NEAR(pearson(a, b), 0.9590164793316034, 1e-15);
  EXPECT_TRUE(std::isnan(pearson(std::vector<double>{1, 1}, std::vector<double>{1, 2})));
}

TEST(RetrievalMetrics, other_tools_names_are_the_same_measures) {
  const std::vector<Ranked> ranking = {{"a", 3}, {"b", 2}, {"c", 1}};
  const Judgments judgments = {{"b", 1}, {"c", 2}, {"d", 1}};
  for (const auto& [name, same] :
       {std::pair("nDCG@2", "ndcg_cut_2"), std::pair("ndcg_at_2", "ndcg_cut_2"), std::pair("MRR", "recip_rank"),
        std::pair("MAP@2", "map_cut_2"), std::pair("AP", "map"), std::pair("R@2", "recall_2"),
        std::pair("recall_at_2", "recall_2"), std::pair("P@2", "P_2"), std::pair("precision_at_2", "P_2"),
        std::pair("Success@1", "success_1"), std::pair("Rprec", "Rprec")}) {
    ASSERT_TRUE(is_retrieval_metric(name)) << name;
    EXPECT_EQ(retrieval_metric(name, ranking, judgments), retrieval_metric(same, ranking, judgments)) << name;
  }
  EXPECT_EQ(retrieval_metric("MRR@10", ranking, judgments), 0.5);
  EXPECT_EQ(retrieval_metric("recip_rank_1", ranking, judgments), 0) << "not within the cut";
  for (const char* name : {"ndcg@", "ndcg@x", "ERR@20", "Judged@10", "R", "P"})
    EXPECT_FALSE(is_retrieval_metric(name)) << name;
}

class EmbedTasks : public testing::Test {
 protected:
  EmbedTasks() { fs::create_directories(root_); }
  ~EmbedTasks() override { fs::remove_all(root_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(root_ / name) << text; }
  void retrieval() const {
    write("corpus.jsonl",
          "{\"_id\": \"p1\", \"title\": \"T\", \"text\": \"one\"}\n{\"_id\": 2, \"title\": \"\", \"text\": \"\"}\n");
    write("queries.jsonl",
          "{\"_id\": \"q1\", \"text\": \"first\"}\n{\"_id\": \"q2\", \"text\": \"second\"}\n{\"_id\": \"q3\", "
          "\"text\": \"unjudged\"}\n");
    write("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\tp1\t1\nq2\t2\t2\n");
    write("t.yaml",
          "task: t\ntype: retrieval\ndata: {corpus: corpus.jsonl, queries: queries.jsonl, qrels: qrels.tsv}\n"
          "query: '{{text}}'\ndocument: '{{title}} {{text}}'\nmetrics: [recip_rank, P_1]\n");
  }
  CellRequests build(const Task& task, std::size_t limit = 0) const { return build_requests(compile(task), limit); }
  std::string refusal() const {
    try {
      build(read_task((root_ / "t.yaml").string(), "", {}));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  fs::path root_ = fs::temp_directory_path() / ("proctor-embed-" + std::to_string(::getpid()));
};

Response vector(std::vector<float> values) { return {EmbedAnswer{std::move(values), 3, 0}, ""}; }

TEST_F(EmbedTasks, retrieval_embeds_judged_queries_and_the_whole_corpus) {
  retrieval();
  const Task task = read_task((root_ / "t.yaml").string(), "", {});
  const CellRequests pair = build(task);
  ASSERT_EQ(pair.documents.size(), 2u);
  ASSERT_EQ(pair.requests.size(), 4u);
  EXPECT_EQ(pair.requests[0].parts[0], Part("first"));
  EXPECT_EQ(pair.requests[0].ask, Ask(Embed{{"query"}, ""}));
  EXPECT_EQ(pair.requests[2].parts[0], Part("T one"));
  EXPECT_EQ(pair.requests[3].parts[0], Part(" ")) << "an empty passage is one";
  EXPECT_EQ(build(task, 1).requests.size(), 3u) << "a limit is of queries";
  const std::vector<Response> answers = {vector({1, 0}), vector({1, 1}), vector({2, 0.1f}), vector({0, 3})};
  const CellScore score = score_cell(compile(task), pair, answers, {});
  ASSERT_EQ(score.metrics.size(), 2u);
  EXPECT_EQ(score.metrics[0].metric, "P_1");
  EXPECT_EQ(score.metrics[0].value, 0.5) << "q2 is nearer to p1 than to 2";
  EXPECT_EQ(score.metrics[1].value, 0.75);
  EXPECT_NEAR(*score.metrics[1].error, 0.25, 1e-15);
  EXPECT_NE(score.samples.find("\"ranking\": [[\"p1\", "), std::string::npos) << score.samples;
}

TEST_F(EmbedTasks, rerank_scores_each_querys_candidates_as_one_bundle) {
  retrieval();
  write("run.trec", "q1 Q0 2 1 9.5 bm25\nq1 Q0 p1 2 9.1 bm25\nq2 Q0 2 1 3 bm25\nq3 Q0 p1 1 1 bm25\n");
  write("t.yaml",
        "task: t\ntype: rerank\ndata: {corpus: corpus.jsonl, queries: queries.jsonl, qrels: qrels.tsv, candidates: "
        "run.trec}\n"
        "query: '{{text}}'\ndocument: '{{title}} {{text}}'\nmetrics: [recip_rank]\n");
  const Task task = read_task((root_ / "t.yaml").string(), "", {});
  const CellRequests pair = build(task);
  ASSERT_EQ(pair.requests.size(), 3u);
  EXPECT_EQ(pair.first_request, (std::vector<std::uint32_t>{0, 2, 3}));
  EXPECT_EQ(pair.requests[1].parts, (std::vector<Part>{"first", "T one"}));
  const auto scored = [&](double of_2, double of_p1) {
    const std::vector<Response> answers = {
        {ScorePairAnswer{of_2, 5, 0}, ""}, {ScorePairAnswer{of_p1, 5, 1}, ""}, {ScorePairAnswer{0.0, 5, 0}, ""}};
    return score_cell(compile(task), pair, answers, {});
  };
  EXPECT_EQ(scored(-1, 2).metrics[0].value, 1) << "the order of the file does not matter";
  EXPECT_EQ(scored(2, -1).metrics[0].value, 0.75);
  EXPECT_EQ(scored(1, 1).metrics[0].value, 1) << "of equal scores trec_eval's order: p1 before 2";
  EXPECT_EQ(scored(1, 1).truncated, 1u);
  const CellScore failed = score_cell(
      compile(task), pair,
      std::vector<Response>{{ScorePairAnswer{1.0, 5, 0}, ""}, {{}, "bad"}, {ScorePairAnswer{0.0, 5, 0}, ""}}, {});
  EXPECT_EQ(failed.effective, 1u);
  ASSERT_EQ(failed.failures.size(), 1u);
  EXPECT_NE(failed.failures[0].find("queries.jsonl:1: passage p1: bad"), std::string::npos);
  const auto has = [&](const char* run, const char* part) {
    write("run.trec", run);
    const std::string why = refusal();
    EXPECT_NE(why.find(part), std::string::npos) << why;
  };
  has("q1 Q0 p1 1 1 r\n", "queries.jsonl:2: query q2 has no candidates in ");
  has("q1 Q0 p1 1 1 r\nq2 Q0 p9 1 1 r\n", "run.trec:2: passage p9 is not in ");
  has("q1 Q0 p1 1 1 r\nq1 Q0 p1 1 1 r\n", "run.trec:2: query q1 has passage p1 twice");
  has("q1 p1 1\n", "run.trec:1: expected a TREC run's six columns");
  has("q1 Q0 p1 1 high r\n", "run.trec:1: score 'high' is no number");
  write("run.trec", "\xEF\xBB\xBFq1 Q0 2 2 1.5 r\nq1 Q0 p1 1 9 r\nq2 Q0 2 1\t-inf r\t\n\t\n");
  EXPECT_EQ(build(task).requests[0].parts[1], Part("T one")) << "the run's scores decide, behind a byte order mark";
  has("\n", "holds no candidates");
}

TEST_F(EmbedTasks, candidates_may_be_rows_as_autorag_has_them) {
  retrieval();
  write("found.jsonl",
        "{\"_id\": \"q2\", \"retrieved_ids\": [2]}\n{\"_id\": \"q1\", \"retrieved_ids\": [2, \"p1\"]}\n");
  write("t.yaml",
        "task: t\ntype: rerank\ndata: {corpus: corpus.jsonl, queries: queries.jsonl, qrels: qrels.tsv, candidates: "
        "found.jsonl}\nquery: '{{text}}'\ndocument: '{{text}}'\n");
  const CellRequests pair = build(read_task((root_ / "t.yaml").string(), "", {}));
  EXPECT_EQ(pair.first_request, (std::vector<std::uint32_t>{0, 2, 3}));
  EXPECT_EQ(pair.requests[1].parts, (std::vector<Part>{"first", "one"}));
  write("found.jsonl", "{\"_id\": \"q1\", \"retrieved_ids\": [\"p1\", \"p1\"]}\n");
  EXPECT_NE(refusal().find("found.jsonl:1: query q1 has passage p1 twice"), std::string::npos) << refusal();
  write("found.jsonl", "{\"_id\": \"q1\", \"retrieved_ids\": [\"p9\"]}\n");
  EXPECT_NE(refusal().find("passage p9 is not in"), std::string::npos) << refusal();
  write("found.jsonl", "{\"_id\": \"q1\", \"retrieved_ids\": []}\n");
  EXPECT_NE(refusal().find("holds no candidates"), std::string::npos) << refusal();
  write("found.jsonl", "{\"_id\": \"q1\"}\n");
  EXPECT_NE(refusal().find("\"retrieved_ids\" is missing"), std::string::npos) << refusal();
}

TEST_F(EmbedTasks, a_failed_query_or_passage_is_named_and_left_out) {
  retrieval();
  const Task task = read_task((root_ / "t.yaml").string(), "", {});
  const CellScore score =
      score_cell(compile(task), build(task),
                 std::vector<Response>{vector({1, 0}), {{}, "too bad"}, vector({2, 1}), {{}, "worse"}}, {});
  EXPECT_EQ(score.effective, 1u);
  ASSERT_EQ(score.failures.size(), 2u);
  EXPECT_EQ(score.failures[0], "passage 2: worse");
  EXPECT_NE(score.failures[1].find("queries.jsonl:2: too bad"), std::string::npos);
  EXPECT_EQ(score.metrics[1].value, 1);
}

TEST_F(EmbedTasks, similarity_correlates_cosines_with_scores) {
  write("rows.csv", "left,right,gold\n\"a, \"\"quoted\"\"\",b,5\nc,\"d\ne\",1\nf,g,3\n");
  write("t.yaml",
        "task: t\ntype: similarity\ndata: rows.csv\nleft: '{{left}}'\nright: '{{right}}'\nscore: '{{gold}}'\n");
  const Task task = read_task((root_ / "t.yaml").string(), "", {});
  const CellRequests pair = build(task);
  ASSERT_EQ(pair.requests.size(), 6u);
  EXPECT_EQ(pair.requests[0].parts[0], Part("a, \"quoted\""));
  EXPECT_EQ(pair.requests[3].parts[0], Part("d\ne"));
  const std::vector<Response> answers = {vector({1, 0}), vector({1, 0}), vector({1, 0}),
                                         vector({0, 1}), vector({1, 0}), vector({1, 1})};
  const CellScore score = score_cell(compile(task), pair, answers, {});
  EXPECT_EQ(score.metrics[0].metric, "spearman");
  EXPECT_NEAR(score.metrics[0].value, 1, 1e-12);
  EXPECT_NEAR(score.metrics[1].value, 0.9725753987341064, 1e-12) << "pearson of 1, 0, 0.7071 and 5, 1, 3";
}

TEST_F(EmbedTasks, bad_input_is_named) {
  const auto has = [&](const char* part) {
    const std::string why = refusal();
    EXPECT_NE(why.find(part), std::string::npos) << why;
  };
  retrieval();
  write("qrels.tsv", "q1\tp1\t1\nq1\tp9\t1\n");
  has("qrels.tsv:2: passage p9 is not in ");
  write("qrels.tsv", "q9\tp1\t1\n");
  has("qrels.tsv:1: query q9 is not in ");
  write("qrels.tsv", "q1\tp1\n");
  has("qrels.tsv:1: expected query, passage, relevance");
  write("qrels.tsv", "q1 0 p1 yes\n");
  has("a whole number");
  write("qrels.tsv", "query-id\tcorpus-id\tscore\n");
  has("holds no judgments");
  write("qrels.tsv", "q1 0 p1 1\n");
  EXPECT_EQ(refusal(), "accepted") << "TREC's four columns";
  write("qrels.tsv", "q1\tp1\t1\nq1\tp1\t0\n");
  has("qrels.tsv:2: passage p1 of query q1 is judged 0, and 1 above");
  write("qrels.tsv", "q1\tp 1\t1\n");
  has("passage p 1 is not in");
  write("qrels.tsv", "q1\t0\t\tp1\t1\t\r\n\t\n");
  EXPECT_EQ(refusal(), "accepted") << "tabs that align";
  write("qrels.tsv", "\xEF\xBB\xBFquery-id\tcorpus-id\tscore\nq1\tp1\t1\n");
  EXPECT_EQ(refusal(), "accepted") << "a byte order mark";
  write("corpus.jsonl",
        "{\"_id\": \"p1\", \"title\": \"\", \"text\": \"\"}\n{\"_id\": \"p1\", \"title\": \"\", \"text\": \"\"}\n");
  has("corpus.jsonl:2: _id p1 is used twice");
  write("corpus.jsonl", "{\"id\": \"p1\"}\n");
  has("corpus.jsonl:1: \"_id\" is missing");
  retrieval();
  std::ofstream(root_ / "t.yaml", std::ios::app) << "fewshot: {count: 1}\n";
  has("fewshot: is not read by task type retrieval");
  write("t.yaml",
        "task: t\ntype: retrieval\ndata: {corpus: corpus.jsonl, queries: queries.jsonl}\nquery: '{{text}}'\ndocument: "
        "'{{text}}'\n");
  has("data: 'qrels' is missing");
  write("t.yaml",
        "task: t\ntype: retrieval\ndata: {corpus: corpus.jsonl, queries: queries.jsonl, qrels: qrels.tsv, candidates: "
        "qrels.tsv}\nquery: '{{text}}'\ndocument: '{{text}}'\n");
  has("candidates: is not read by task type retrieval");
  write("t.yaml",
        "task: t\ntype: similarity\ndata: corpus.jsonl\nleft: '{{text}}'\nright: '{{text}}'\nscore: '{{title}}'\n");
  has("the score 'T' is no number");
  write("t.yaml", "task: t\ntype: similarity\ndata: corpus.jsonl\nleft: '{{text}}'\nright: x\nscore: '{{title}}'\n");
  has("right: has no {{field}}");
  write("rows.csv", "a,b\n1\n");
  write("t.yaml", "task: t\ntype: similarity\ndata: rows.csv\nleft: '{{a}}'\nright: '{{b}}'\nscore: '{{a}}'\n");
  has("rows.csv:2: 1 columns, the first row names 2");
  write("rows.csv", "a,b\n\"1,2\n");
  has("rows.csv:2: a quoted field is not closed");
}

}  // namespace
}  // namespace proctor
