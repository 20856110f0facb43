#include "orchestrator/metrics/retrieval_metrics.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

namespace proctor {
namespace {

constexpr std::size_t kNoCut = std::numeric_limits<std::size_t>::max();

/// Of each rank its gain; 0 where it is not judged, or judged below 0.
struct Gains {
  std::vector<int> found, ideal;  // ideal: descending, those above 0
  std::size_t relevant() const { return ideal.size(); }
};

double precision_sum(const Gains& gains, std::size_t cut) {
  double sum = 0;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < std::min(cut, gains.found.size()); ++i)
    if (gains.found[i] > 0) sum += static_cast<double>(++hits) / static_cast<double>(i + 1);
  return sum;
}

double hits(const Gains& gains, std::size_t cut) {
  const auto end = gains.found.begin() + static_cast<std::ptrdiff_t>(std::min(cut, gains.found.size()));
  return static_cast<double>(std::count_if(gains.found.begin(), end, [](int gain) { return gain > 0; }));
}

double discounted(const std::vector<int>& gains, std::size_t cut) {
  double sum = 0;
  for (std::size_t i = 0; i < std::min(cut, gains.size()); ++i) sum += gains[i] / std::log2(static_cast<double>(i) + 2);
  return sum;
}

double over_relevant(double value, const Gains& gains) { return value / static_cast<double>(gains.relevant()); }

enum class Cut { none, needed, optional };

struct Row {
  const char* name;  // before "_<cut>", where it has a cut
  Cut cut;
  double (*measure)(const Gains&, std::size_t cut);
};

// AutoRAG's measures of a list of passages; each relevant passage is a group of its own.

double listed(const Gains& gains, std::size_t cut) { return static_cast<double>(std::min(cut, gains.found.size())); }
double autorag_recall(const Gains& gains, std::size_t cut) { return over_relevant(hits(gains, cut), gains); }
double autorag_precision(const Gains& gains, std::size_t cut) {
  return hits(gains, cut) / std::max(1.0, listed(gains, cut));
}
double autorag_f1(const Gains& gains, std::size_t cut) {
  const double recall = autorag_recall(gains, cut), precision = autorag_precision(gains, cut);
  return recall + precision > 0 ? 2 * recall * precision / (recall + precision) : 0;
}
/// Gains are 0 or 1; the best list has as many hits as there are relevant passages or places.
double autorag_ndcg(const Gains& gains, std::size_t cut) {
  std::vector<int> found;
  for (const int gain : gains.found) found.push_back(gain > 0);
  const auto best = std::min(gains.relevant(), static_cast<std::size_t>(listed(gains, cut)));
  return best == 0 ? 0 : discounted(found, cut) / discounted(std::vector<int>(best, 1), cut);
}
/// The mean over relevant passages of one over their rank; of groups of one, so is AutoRAG's map.
double autorag_mrr(const Gains& gains, std::size_t cut) {
  double sum = 0;
  for (std::size_t i = 0; i < std::min(cut, gains.found.size()); ++i)
    if (gains.found[i] > 0) sum += 1 / static_cast<double>(i + 1);
  return over_relevant(sum, gains);
}

constexpr Row kTable[] = {
    {"map", Cut::none, [](const Gains& g, std::size_t cut) { return over_relevant(precision_sum(g, cut), g); }},
    {"map_cut", Cut::needed, [](const Gains& g, std::size_t cut) { return over_relevant(precision_sum(g, cut), g); }},
    {"ndcg", Cut::none,
     [](const Gains& g, std::size_t cut) { return discounted(g.found, cut) / discounted(g.ideal, cut); }},
    {"ndcg_cut", Cut::needed,
     [](const Gains& g, std::size_t cut) { return discounted(g.found, cut) / discounted(g.ideal, cut); }},
    {"recall", Cut::needed, [](const Gains& g, std::size_t cut) { return over_relevant(hits(g, cut), g); }},
    {"P", Cut::needed, [](const Gains& g, std::size_t cut) { return hits(g, cut) / static_cast<double>(cut); }},
    {"success", Cut::needed, [](const Gains& g, std::size_t cut) { return hits(g, cut) > 0 ? 1.0 : 0.0; }},
    {"Rprec", Cut::none, [](const Gains& g, std::size_t) { return over_relevant(hits(g, g.relevant()), g); }},
    {"recip_rank", Cut::optional,
     [](const Gains& g, std::size_t cut) {
       const auto first = std::ranges::find_if(g.found, [](int gain) { return gain > 0; });
       const auto rank = static_cast<std::size_t>(first - g.found.begin()) + 1;
       return first == g.found.end() || rank > cut ? 0.0 : 1.0 / static_cast<double>(rank);
     }},
    {"autorag_recall", Cut::optional, autorag_recall},
    {"autorag_precision", Cut::optional, autorag_precision},
    {"autorag_f1", Cut::optional, autorag_f1},
    {"autorag_ndcg", Cut::optional, autorag_ndcg},
    {"autorag_mrr", Cut::optional, autorag_mrr},
    {"autorag_map", Cut::optional, autorag_mrr},
};

struct Found {
  const Row* row = nullptr;
  std::size_t cut = kNoCut;
};

/// What ir_measures, BEIR and MTEB call the same: "nDCG@10", "ndcg_at_10", "MRR@10", "R@100", "AP", "Success@5".
std::string trec_eval_name(const std::string& name) {
  std::string base = name, cut;
  for (const std::string mark : {"@", "_at_"})
    if (const auto at = name.find(mark); at != std::string::npos) {
      base = name.substr(0, at);
      cut = "_" + name.substr(at + mark.size());
      break;
    }
  std::ranges::transform(base, base.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (base == "ndcg") return cut.empty() ? "ndcg" : "ndcg_cut" + cut;
  if (base == "map" || base == "ap") return cut.empty() ? "map" : "map_cut" + cut;
  if (base == "mrr" || base == "rr" || base == "recip_rank") return "recip_rank" + cut;
  if (base == "recall" || base == "r") return "recall" + cut;
  if (base == "precision" || base == "p") return "P" + cut;
  if (base == "success" || base == "rprec") return (base == "rprec" ? "Rprec" : base) + cut;
  return name;
}

Found find_by(const std::string& name) {
  for (const Row& row : kTable) {
    if (row.cut != Cut::needed && name == row.name) return {&row, kNoCut};
    const std::string stem = std::string(row.name) + "_";
    if (row.cut == Cut::none || !name.starts_with(stem)) continue;
    std::size_t cut = 0;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + stem.size(), end, cut);
    if (error == std::errc() && stop == end && cut > 0) return {&row, cut};
  }
  return {};
}

Found find(const std::string& name) {
  const Found found = find_by(name);
  return found.row ? found : find_by(trec_eval_name(name));
}

std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end - 1) / 2;
  }
  return ranks;
}

}  // namespace

void sort_as_trec_eval(std::vector<Ranked>& ranking) {
  std::ranges::sort(ranking, [](const Ranked& a, const Ranked& b) {
    return ranks_before(static_cast<float>(a.score), a.passage, static_cast<float>(b.score), b.passage);
  });
}

bool is_retrieval_metric(const std::string& name) { return find(name).row != nullptr; }

std::vector<std::string> retrieval_metric_examples() {
  std::vector<std::string> names;
  for (const Row& row : kTable) names.push_back(row.cut == Cut::needed ? std::string(row.name) + "_10" : row.name);
  return names;
}

std::optional<double> retrieval_metric(const std::string& name, std::span<const Ranked> ranking,
                                       const Judgments& judgments) {
  const Found found = find(name);
  Gains gains;
  for (const Ranked& one : ranking) {
    const auto judged = judgments.find(one.passage);
    gains.found.push_back(judged == judgments.end() ? 0 : std::max(0, judged->second));
  }
  for (const auto& [passage, gain] : judgments)
    if (gain > 0) gains.ideal.push_back(gain);
  std::ranges::sort(gains.ideal, std::greater());
  if (gains.relevant() > 0) return found.row->measure(gains, found.cut);
  if (std::string_view(found.row->name).starts_with("autorag_")) return std::nullopt;
  return 0;
}

double pearson(std::span<const double> a, std::span<const double> b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
               mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

double spearman(std::span<const double> a, std::span<const double> b) { return pearson(mean_ranks(a), mean_ranks(b)); }

}  // namespace proctor
