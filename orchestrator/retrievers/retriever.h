// Modules without a model: they find passages by words, or make one ranking of others. Rank 0 computes them, so that no
// device unloads a model for them. One file each; the table is in retrievers.cc. docs/chains.md.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/data/passage.h"
#include "sharding/protocol/request.h"

namespace proctor {

class Retriever {
 public:
  virtual ~Retriever() = default;
  /// The passages, the best first; equal scores in trec_eval's order. Throws InputError where the request cannot be
  /// answered. A function of the request and of what this was opened with. One thread.
  virtual std::vector<Ranked> retrieve(const Request& request) = 0;
};

/// The numbers that a kind gives: a change of its formulas or of its words is another version, whose stored answers do
/// not count for this one.
int retriever_version(const std::string& kind);
/// Throws UsageError naming the option and what was expected.
void check_retriever(const std::string& kind, const nlohmann::json& options);
/// Throws UsageError where the options do not fit a task that reads so many rankings.
void check_rankings(const std::string& kind, const nlohmann::json& options, std::size_t rankings);
/// `corpus`: what it searches; outlives it. The options have been checked.
std::unique_ptr<Retriever> open_retriever(const std::string& kind, const nlohmann::json& options,
                                          std::span<const Passage> corpus);

// The kinds.
std::unique_ptr<Retriever> open_bm25(const nlohmann::json& options, std::span<const Passage> corpus);
std::unique_ptr<Retriever> open_fusion(const nlohmann::json& options);
std::unique_ptr<Retriever> open_filter(const nlohmann::json& options);
void check_bm25(const nlohmann::json& options);
void check_fusion(const nlohmann::json& options);
void check_filter(const nlohmann::json& options);
void check_weights(const nlohmann::json& options, std::size_t rankings);

}  // namespace proctor
