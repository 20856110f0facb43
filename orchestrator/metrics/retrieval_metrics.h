// trec_eval's measures of one ranking, by trec_eval's names; and the correlations of two columns. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sharding/protocol/ask.h"

namespace proctor {

/// Relevance of a query's judged passages; at least 1 is relevant.
using Judgments = std::map<std::string, int>;

/// trec_eval's order, which holds scores as float32: the highest first; equal scores by the passage's name, descending.
inline bool ranks_before(float score, std::string_view passage, float other_score, std::string_view other) {
  return score != other_score ? score > other_score : passage > other;
}
void sort_as_trec_eval(std::vector<Ranked>& ranking);

/// map, recip_rank, Rprec, ndcg, and with a cut: P_10, recall_100, map_cut_10, ndcg_cut_10, success_5; with or without
/// one AutoRAG's autorag_recall, _precision, _f1, _ndcg, _mrr, _map.
bool is_retrieval_metric(const std::string& name);
/// The names to show a user.
std::vector<std::string> retrieval_metric_examples();
/// `ranking`: sorted. Where nothing is relevant: 0 as trec_eval has it, and none of AutoRAG's, which leave it out.
std::optional<double> retrieval_metric(const std::string& name, std::span<const Ranked> ranking,
                                       const Judgments& judgments);

/// Pearson's r; of ranks, equal values sharing their mean rank, Spearman's. NaN where a column has one value only.
double pearson(std::span<const double> a, std::span<const double> b);
double spearman(std::span<const double> a, std::span<const double> b);
/// Kendall's tau-b (Knight, 1966, in n log n), as scipy's kendalltau; no number where one side has one value only.
double kendall(std::span<const double> a, std::span<const double> b);

}  // namespace proctor
