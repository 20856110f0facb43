// What a request asks and what a worker answers: a type for each, named by its fields. Their JSON and MessagePack forms
// are in ask_json.h; nothing else reads them by key. Docs: docs/requests.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sharding/protocol/tokens.h"

namespace proctor {

/// Of a text that is longer than the model takes: it loses its left end, or its request fails.
enum class OnLong { truncate, fail };

/// How likely the second part is after the first.
struct Loglikelihood {
  OnLong on_long = OnLong::truncate;
  bool operator==(const Loglikelihood&) const = default;
};

/// How likely the only part is, in windows of the model's length.
struct LoglikelihoodRolling {
  bool operator==(const LoglikelihoodRolling&) const = default;
};

/// How tokens are drawn; a generation without it takes the likeliest one.
struct Draw {
  double temperature = 1;  ///< above 0
  double top_p = 1;        ///< share of the probability that is kept; 1: all
  std::int64_t top_k = 0;  ///< tokens that are kept; 0: all
  std::uint64_t seed = 0;
  double min_p = 0;  ///< tokens less likely than this times the likeliest are dropped
  bool operator==(const Draw&) const = default;
};

struct LogitBias {
  TokenId id = 0;
  double added = 0;  ///< to its logit
  bool operator==(const LogitBias&) const = default;
};

/// A model that reasons before it answers: the texts around its trace.
struct Reasoning {
  std::string start, end;
  bool opened = false;                     ///< the prompt has begun the trace
  std::optional<std::int64_t> max_toks{};  ///< tokens of the trace; at them its end is forced
  bool operator==(const Reasoning&) const = default;
};

/// What follows the only part.
struct Generate {
  std::vector<std::string> until;   ///< texts that end it, themselves left out
  std::int64_t max_gen_toks = 256;  ///< tokens
  OnLong on_long = OnLong::truncate;
  std::optional<double> repetition_penalty = {};  ///< absent: as the model's generation_config.json says
  std::optional<Draw> draw = {};
  bool logprobs = false;  ///< answer with the tokens and their log-probabilities
  std::optional<Reasoning> reasoning = {};
  std::int64_t min_tokens = 0;  ///< before which nothing ends it
  bool ignore_eos = false;
  Tokens stop_token_ids = {};              ///< end it, themselves left out of its text
  std::vector<LogitBias> logit_bias = {};  ///< ascending by id
  double presence_penalty = 0;             ///< taken off the logit of every token that it has
  double frequency_penalty = 0;            ///< as often as it has it
  bool operator==(const Generate&) const = default;
};

/// The only part's vector.
struct Embed {
  std::vector<std::string> prompts =
      {};                    ///< names of what may stand before the text; the first that the model has does
  std::string passage = {};  ///< the id of a corpus' passage; "" for a query or a plain text
  bool operator==(const Embed&) const = default;
};

/// How well the second part, a passage, answers the first, a query. A query's requests follow each other.
struct ScorePair {
  std::string query, passage;  ///< ids
  bool operator==(const ScorePair&) const = default;
};

/// What of the passages, all parts but the last, the question, the last, needs.
struct Compress {
  std::int64_t target_tokens = 300;  ///< of the module's tokenizer
  bool operator==(const Compress&) const = default;
};

/// A passage that was found for a query.
struct Ranked {
  std::string passage;  ///< its id
  double score = 0;     ///< higher is better
  bool operator==(const Ranked&) const = default;
};

/// A query's passages: found in the corpus for the only part, or made of what others found, the best first in each.
/// Asked of modules without a model, which rank 0 computes (orchestrator/retrievers).
struct Retrieve {
  std::string query = {};  ///< its id
  std::vector<std::vector<Ranked>> lists = {};
  bool operator==(const Retrieve&) const = default;
};

using Ask = std::variant<Loglikelihood, LoglikelihoodRolling, Generate, Embed, ScorePair, Compress, Retrieve>;

/// In the order of Ask's alternatives.
enum class RequestType { loglikelihood, loglikelihood_rolling, generate_until, embed, score_pair, compress, retrieve };
inline RequestType type_of(const Ask& ask) { return static_cast<RequestType>(ask.index()); }
/// As suites, requests and calibrations call it: "loglikelihood".
const char* to_string(RequestType type);

struct LoglikelihoodAnswer {
  double loglikelihood = 0;  ///< sum of the natural log-probabilities
  bool is_greedy = false;    ///< every token was the likeliest
  std::int64_t tokens = 0;   ///< scored
  std::int64_t truncated = 0;
  bool operator==(const LoglikelihoodAnswer&) const = default;
};

struct RollingAnswer {
  double loglikelihood = 0;
  std::int64_t tokens = 0;
  bool operator==(const RollingAnswer&) const = default;
};

struct GeneratedTokens {
  Tokens ids;
  std::vector<double> logprobs;  ///< natural, before penalty and temperature
  bool operator==(const GeneratedTokens&) const = default;
};
/// What an answer's text has of reasoning before the answer proper.
struct ReasoningTrace {
  enum class End { own, budget, none };  ///< none: it never ended, so that there is no answer
  End end = End::own;
  std::int64_t tokens = 0;    ///< of it, its tags among them; 0: there is none
  std::size_t answer_at = 0;  ///< byte of the text where the answer proper begins
  bool operator==(const ReasoningTrace&) const = default;
};
struct GenerateAnswer {
  std::string text;         ///< the trace included
  std::int64_t tokens = 0;  ///< new ones
  std::optional<GeneratedTokens> chosen = {};
  std::int64_t truncated = 0;
  std::optional<ReasoningTrace> trace = {};  ///< where reasoning was asked for
  bool operator==(const GenerateAnswer&) const = default;
};

struct EmbedAnswer {
  std::vector<float> vector;
  std::int64_t tokens = 0, truncated = 0;
  bool operator==(const EmbedAnswer&) const = default;
};

struct ScorePairAnswer {
  double score = 0;
  std::int64_t tokens = 0, truncated = 0;
  bool operator==(const ScorePairAnswer&) const = default;
};

struct CompressAnswer {
  std::string text;
  std::int64_t kept = 0, before = 0;  ///< tokens of the text, of the passages
  bool operator==(const CompressAnswer&) const = default;
};

struct RetrieveAnswer {
  std::vector<Ranked> passages;  ///< the best first
  bool operator==(const RetrieveAnswer&) const = default;
};

/// monostate: none, of a request that failed or was set aside.
using Answer = std::variant<std::monostate, LoglikelihoodAnswer, RollingAnswer, GenerateAnswer, EmbedAnswer,
                            ScorePairAnswer, CompressAnswer, RetrieveAnswer>;

/// Whether this is the kind of answer that was asked for.
bool answers(const Answer& answer, const Ask& ask);
/// What counts as the answer: the text without its reasoning; "" where that never ended.
std::string answer_proper(const GenerateAnswer& answer);
/// Tokens that a request's text lost; 0 where its answer does not say.
std::int64_t truncated_of(const Answer& answer);

}  // namespace proctor
