// RankGPT (Sun et al. 2023, arXiv:2304.09542): a decoder is shown a query's passages and writes their order. The words
// are RankGPT's; a model's chat template is not applied, turns are "role: text" lines as llama_index writes them for a
// model without one.
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "sharding/protocol/error.h"
#include "worker/base/clock.h"
#include "worker/inference/generation_loop.h"
#include "worker/kinds/decoder_module.h"
#include "worker/kinds/options.h"
#include "worker/kinds/score.h"
#include "worker/postprocessing/generation_text.h"
#include "worker/postprocessing/permutation.h"

namespace proctor {
namespace {

constexpr std::int64_t kTokensOfPlace = 8;  // "[12] > " and then some

struct Settings {
  std::int64_t window = 0, step = 0;  ///< passages; window 0: all at once
};

Settings read_settings(const Module& module) {
  Settings settings{option<std::int64_t>(module, "window", 0), 0};
  settings.step = option<std::int64_t>(module, "step", std::max<std::int64_t>(1, settings.window / 2));
  if (settings.window < 0 || settings.window == 1 || settings.step < 1 ||
      (settings.window > 0 && settings.step > settings.window))
    refuse_option(module, "window is " + std::to_string(settings.window) + " and step " +
                              std::to_string(settings.step) +
                              ": a window has two passages or more, a step one to as many as the window");
  return settings;
}

std::int64_t check(const ModelFolder& folder, TextCodec&, const Module& module) {
  refuse_bos(module);
  (void)read_settings(module);
  return row_limit(folder, module);
}

/// A query with its passages: requests that follow each other.
struct Query {
  std::vector<std::uint32_t> requests;  ///< as given
  std::vector<std::size_t> order;       ///< of `requests`, best first
  std::int64_t end = 0;                 ///< passages that no window has shown yet end here; 0: done
  std::size_t tokens = 0;               ///< of its prompts
};

class RankGpt final : public DecoderModule {
 public:
  RankGpt(const Module& module, Device& device, Communicator& gang, const Announce& announce)
      : DecoderModule(module, device, gang, announce),
        settings_(read_settings(module)),
        max_length_(row_limit(folder(), module)),
        generation_(decoder(), codec(), folder().generation.eos_ids, prefix()) {}

  /// A round generates one window of every query that has one left: the last passages first, as in the paper.
  std::vector<Response> run(const ShardRun& shard, BatchCleanup& cleanup, const Announce& announce) override {
    const at::NoGradGuard no_grad;
    std::vector<Response> responses(shard.requests.size());
    std::vector<Query> queries = queries_of(shard, responses);
    for (std::uint32_t round = 0; std::ranges::any_of(queries, [](const Query& q) { return q.end > 0; }); ++round) {
      run_round(queries, round, shard, announce, responses);
      cleanup.after_batch();
    }
    for (const Query& query : queries)
      for (std::size_t place = 0; place < query.order.size(); ++place) {
        Response& response = responses[query.requests[query.order[place]]];
        const double last = static_cast<double>(std::max<std::size_t>(2, query.order.size()) - 1);
        if (response.error.empty()) answer_score(response, 1 - static_cast<double>(place) / last, query.tokens, 0);
      }
    return responses;
  }

 private:
  /// A query of which a passage was set aside fails whole: without it there is another order.
  static std::vector<Query> queries_of(const ShardRun& shard, std::vector<Response>& responses) {
    std::vector<Query> queries;
    for (std::uint32_t i = 0; i < shard.requests.size(); ++i) {
      if (i == 0 || !same_query(shard.requests[i], shard.requests[i - 1])) queries.emplace_back();
      queries.back().requests.push_back(i);
    }
    std::erase_if(queries, [&](const Query& query) {
      const bool lost = std::ranges::any_of(query.requests, [&](std::uint32_t r) { return shard.left_out(r); });
      for (const std::uint32_t request : query.requests)
        if (lost && !shard.left_out(request)) responses[request].error = "another passage of its query was set aside";
      return lost;
    });
    for (Query& query : queries) {
      query.order.resize(query.requests.size());
      std::iota(query.order.begin(), query.order.end(), std::size_t{0});
      query.end = static_cast<std::int64_t>(query.order.size());
    }
    return queries;
  }

  static void fail(Query& query, const std::string& why, std::vector<Response>& responses) {
    for (const std::uint32_t request : query.requests) responses[request].error = why;
    query.end = 0;
  }

  void run_round(std::vector<Query>& queries, std::uint32_t round, const ShardRun& shard, const Announce& announce,
                 std::vector<Response>& responses) {
    const auto begin = Clock::now();
    std::vector<GenerationRow> asked;
    std::vector<std::uint32_t> members;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      if (queries[q].end == 0) continue;
      try {
        asked.push_back(row_of(queries[q], q, shard.requests));
        members.insert(members.end(), queries[q].requests.begin(), queries[q].requests.end());
      } catch (const InputError& error) {
        fail(queries[q], error.what(), responses);
      }
    }
    tokenize_s_ += seconds_since(begin);
    if (asked.empty()) return;
    if (!shard.request_by_request(round, members)) {
      announce({"order of the passages of " + std::to_string(asked.size()) + " queries", round, members});
      generation_.run(asked, limits_of(shard), announce);
    } else {
      for (GenerationRow& row : asked) {
        announce({"order of the passages of one query", round, {queries[row.request].requests[0]}});
        generation_.run({&row, 1}, limits_of(shard), announce);
      }
    }
    for (const GenerationRow& row : asked) {
      Query& query = queries[row.request];
      if (row.broken)
        fail(query, not_finite("logit"), responses);
      else
        reorder(query, cut_at_stops(codec().decode(row.generated), row.stops));
    }
  }

  std::int64_t window_begin(const Query& query) const {
    return settings_.window == 0 ? 0 : std::max<std::int64_t>(0, query.end - settings_.window);
  }

  GenerationRow row_of(Query& query, std::size_t index, std::span<const Request> requests) {
    std::vector<std::string> passages;
    for (std::int64_t place = window_begin(query); place < query.end; ++place)
      passages.push_back(text_of(requests[query.requests[query.order[static_cast<std::size_t>(place)]]], 1));
    const std::string text = permutation_prompt(text_of(requests[query.requests[0]], 0), passages);
    GenerationRow row;
    row.request = index;
    row.prompt = rows().in_range(codec().encode(text));
    row.max_new = kTokensOfPlace * static_cast<std::int64_t>(passages.size());
    row.stops = {"\nuser:"};
    if (!codec().eos_text().empty()) row.stops.push_back(codec().eos_text());
    if (static_cast<std::int64_t>(row.prompt.size()) + row.max_new > max_length_)
      throw InputError("the query and " + std::to_string(passages.size()) + " passages come to " +
                       std::to_string(row.prompt.size()) + " tokens and " + std::to_string(row.max_new) +
                       " to write, past max_length " + std::to_string(max_length_) + "; " +
                       (passages.size() > 2 ? "show fewer at once (option window)" : "give shorter texts"));
    query.tokens += row.prompt.size();
    return row;
  }

  void reorder(Query& query, const std::string& written) const {
    const auto begin = static_cast<std::size_t>(window_begin(query)), end = static_cast<std::size_t>(query.end);
    const std::vector<std::size_t> before(query.order.begin() + static_cast<std::ptrdiff_t>(begin),
                                          query.order.begin() + static_cast<std::ptrdiff_t>(end));
    const std::vector<std::size_t> places = read_permutation(written, end - begin);
    for (std::size_t i = 0; i < places.size(); ++i) query.order[begin + i] = before[places[i]];
    query.end = begin == 0 ? 0 : query.end - settings_.step;
  }

  Settings settings_;
  std::int64_t max_length_;
  GenerationLoop generation_;
};

}  // namespace

const Kind& rankgpt_kind() {
  static const Kind kind{"rankgpt", open_as<RankGpt>, check};
  return kind;
}

}  // namespace proctor
