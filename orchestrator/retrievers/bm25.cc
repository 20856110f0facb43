// BM25 by an inverted index. The formulas: Kamphuis et al., "Which BM25 do you mean?", ECIR 2020 (lucene, robertson,
// atire, bm25l, bm25+: as bm25s has them); okapi as rank_bm25's BM25Okapi, which AutoRAG uses. A query's words count as
// often as it has them, words of no passage not at all.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "orchestrator/metrics/retrieval_metrics.h"
#include "orchestrator/retrievers/option_values.h"
#include "orchestrator/retrievers/retriever.h"
#include "orchestrator/retrievers/text_tokens.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::size_t kMostPassages = 1000;  // of a ranking, as many as are measured
constexpr double kEpsilon = 0.25;            // okapi: of the mean idf, for words that more than half the passages have

enum class Method { lucene, robertson, atire, bm25l, bm25_plus, okapi };
constexpr std::array<std::string_view, 6> kMethods = {"lucene", "robertson", "atire", "bm25l", "bm25+", "okapi"};

struct Formula {
  Method method = Method::lucene;
  double k1 = 1.5, b = 0.75, delta = 0.5;
  TextTokenizer tokenizer = TextTokenizer::words;

  explicit Formula(const nlohmann::json& options) {
    constexpr double kMost = std::numeric_limits<double>::infinity();
    method = static_cast<Method>(choice_option(options, "method", kMethods));
    k1 = number_option(options, "k1", k1, 0, kMost);
    b = number_option(options, "b", b, 0, 1);
    delta = number_option(options, "delta", delta, 0, kMost);
    if (options.contains("delta") && method != Method::bm25l && method != Method::bm25_plus)
      throw UsageError("delta: is of methods bm25l and bm25+; " +
                       std::string(kMethods[static_cast<std::size_t>(method)]) + " does not read it");
    tokenizer = static_cast<TextTokenizer>(choice_option(options, "tokenizer", text_tokenizer_names()));
  }

  /// Of a word that `with` of `all` passages have.
  double rarity(double with, double all) const {
    switch (method) {
      case Method::lucene:
        return std::log(1 + (all - with + 0.5) / (with + 0.5));
      case Method::robertson:
        return std::log(std::max(1.0, (all - with + 0.5) / (with + 0.5)));
      case Method::atire:
        return std::log(all / with);
      case Method::bm25l:
        return std::log((all + 1) / (with + 0.5));
      case Method::bm25_plus:
        return std::log((all + 1) / with);
      case Method::okapi:
        break;
    }
    return std::log(all - with + 0.5) - std::log(with + 0.5);
  }
  /// Of a word that a passage has `count` times; `length`: the passage's, in mean lengths.
  double weight(double count, double length) const {
    const double norm = 1 - b + b * length;
    switch (method) {
      case Method::lucene:
      case Method::robertson:
        return count / (k1 * norm + count);
      case Method::bm25l:
        return (k1 + 1) * (count / norm + delta) / (k1 + count / norm + delta);
      case Method::bm25_plus:
        return (k1 + 1) * count / (k1 * norm + count) + delta;
      case Method::atire:
      case Method::okapi:
        break;
    }
    return (k1 + 1) * count / (k1 * norm + count);
  }
  /// Of a word that a passage has not got.
  double weight_of_none() const {
    if (method == Method::bm25l) return (k1 + 1) * delta / (k1 + delta);
    return method == Method::bm25_plus ? delta : 0;
  }
};

struct Posting {
  std::uint32_t passage = 0;
  float weight = 0;  // before the word's rarity
};
struct Word {
  std::vector<Posting> postings;
  double rarity = 0;
};

class Bm25 final : public Retriever {
 public:
  Bm25(const nlohmann::json& options, std::span<const Passage> corpus)
      : formula_(options), corpus_(corpus), scores_(corpus.size(), 0), seen_(corpus.size(), false) {
    std::vector<double> lengths(corpus.size(), 0);
    double all = 0;
    for (std::uint32_t p = 0; p < corpus.size(); ++p) {
      const std::vector<std::string> tokens = text_tokens(corpus[p].text, formula_.tokenizer);
      for (const std::string& token : tokens) {
        std::vector<Posting>& postings = words_[token].postings;
        if (postings.empty() || postings.back().passage != p) postings.push_back({p, 0});
        ++postings.back().weight;  // its count
      }
      all += lengths[p] = static_cast<double>(tokens.size());
    }
    const double mean = all / std::max(1.0, static_cast<double>(corpus.size()));
    for (auto& [text, word] : words_) {
      word.rarity = formula_.rarity(static_cast<double>(word.postings.size()), static_cast<double>(corpus.size()));
      for (Posting& posting : word.postings)
        posting.weight = static_cast<float>(formula_.weight(posting.weight, lengths[posting.passage] / mean));
    }
    if (formula_.method == Method::okapi) raise_negative_ones();
  }

  std::vector<Ranked> retrieve(const Request& request) override {
    std::vector<std::uint32_t> found;
    double of_none = 0;
    for (const std::string& token : text_tokens(text_of(request, 0), formula_.tokenizer)) {
      const auto word = words_.find(token);
      if (word == words_.end()) continue;
      const double none = formula_.weight_of_none();
      of_none += word->second.rarity * none;
      for (const Posting& posting : word->second.postings) {
        if (!seen_[posting.passage]) found.push_back(posting.passage);
        seen_[posting.passage] = true;
        scores_[posting.passage] += word->second.rarity * (posting.weight - none);
      }
    }
    std::vector<Ranked> ranking = best_of(found, of_none);
    for (const std::uint32_t passage : found) scores_[passage] = 0, seen_[passage] = false;
    return ranking;
  }

 private:
  void raise_negative_ones() {
    std::vector<double> all;
    for (const auto& [text, word] : words_) all.push_back(word.rarity);
    std::ranges::sort(all);  // so that the sum does not hang on the order of a hash table
    double sum = 0;
    for (const double one : all) sum += one;
    for (auto& [text, word] : words_)
      if (word.rarity < 0) word.rarity = kEpsilon * sum / static_cast<double>(all.size());
  }

  /// Scores to float's precision, so that passages alike to the last bit of a sum are equal, in a fusion, too.
  std::vector<Ranked> best_of(std::span<const std::uint32_t> found, double of_none) const {
    struct Place {
      float score;
      std::uint32_t passage;
    };
    std::vector<Place> places;
    places.reserve(found.size());
    for (const std::uint32_t p : found) places.push_back({static_cast<float>(scores_[p] + of_none), p});
    const auto end = places.begin() + static_cast<std::ptrdiff_t>(std::min(places.size(), kMostPassages));
    std::ranges::partial_sort(places, end, [this](const Place& a, const Place& b) {
      return ranks_before(a.score, corpus_[a.passage].id, b.score, corpus_[b.passage].id);
    });
    std::vector<Ranked> ranking;
    for (auto place = places.begin(); place != end; ++place)
      ranking.push_back({corpus_[place->passage].id, place->score});
    return ranking;
  }

  Formula formula_;
  std::span<const Passage> corpus_;
  std::unordered_map<std::string, Word> words_;
  std::vector<double> scores_;  // of each passage, for the present query
  std::vector<bool> seen_;      // that it has a word of the query
};

}  // namespace

void check_bm25(const nlohmann::json& options) { (void)Formula(options); }

std::unique_ptr<Retriever> open_bm25(const nlohmann::json& options, std::span<const Passage> corpus) {
  return std::make_unique<Bm25>(options, corpus);
}

}  // namespace proctor
