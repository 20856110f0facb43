#include "orchestrator/retrievers/retriever.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

struct Row {
  const char* kind;
  int version;
  void (*check)(const nlohmann::json& options);
  std::unique_ptr<Retriever> (*open)(const nlohmann::json& options, std::span<const Passage> corpus);
};
constexpr Row kTable[] = {
    {"bm25", 1, check_bm25, open_bm25},
    {"fusion", 1, check_fusion,
     [](const nlohmann::json& options, std::span<const Passage>) { return open_fusion(options); }},
    {"filter", 1, check_filter,
     [](const nlohmann::json& options, std::span<const Passage>) { return open_filter(options); }}};

const Row& row_of(const std::string& kind) {
  for (const Row& row : kTable)
    if (kind == row.kind) return row;
  throw Error(Fault::internal, "kind " + kind + " is no retriever");
}

}  // namespace

int retriever_version(const std::string& kind) { return row_of(kind).version; }

void check_retriever(const std::string& kind, const nlohmann::json& options) { row_of(kind).check(options); }

void check_rankings(const std::string& kind, const nlohmann::json& options, std::size_t rankings) {
  if (kind == "fusion") check_weights(options, rankings);
}

std::unique_ptr<Retriever> open_retriever(const std::string& kind, const nlohmann::json& options,
                                          std::span<const Passage> corpus) {
  return row_of(kind).open(options, corpus);
}

}  // namespace proctor
