// A tokenizer.json, whole: added tokens, normalizer, pre-tokenizer, model, post-processor, decoder. The same ids and
// texts as Hugging Face's tokenizers (tests: 463 texts of each of five tokenizers). One thread encodes at a time: it
// caches words; decode() only reads.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/tokenizer/added_tokens.h"
#include "worker/tokenizer/decoder.h"
#include "worker/tokenizer/normalizer.h"
#include "worker/tokenizer/post_processor.h"
#include "worker/tokenizer/pre_tokenizer.h"
#include "worker/tokenizer/token_model.h"

namespace proctor {

enum class Special { add, leave_out };
enum class Decoding { skip_special, keep_special };

/// What a pair that is too long loses. longest_first: the longer text's end, then both down to half, the longer one
/// keeping an odd token (Hugging Face's tokenizers); longest_first_python: the first text keeps it (transformers' own
/// tokenizers); only_second: the first text keeps three quarters of all at most, the second what is left
/// (FlagEmbedding).
enum class Truncation { longest_first, longest_first_python, only_second };

struct Encoding {
  Tokens ids;
  std::vector<std::int32_t> type_ids;
  std::size_t truncated = 0;  ///< tokens cut off the right of the text, or of both texts
};

class Tokenizer {
 public:
  /// `file` is named in messages. Throws InputError.
  Tokenizer(const nlohmann::json& json, const std::string& file);
  static Tokenizer read(const std::string& path);

  Encoding encode(std::string_view text, Special special);
  /// With special tokens; of the text what leaves `most` tokens in all (max_length with truncation, in transformers).
  Encoding encode_at_most(std::string_view text, std::size_t most);
  Encoding encode_pair(std::string_view first, std::string_view second, Special special);
  /// The same of a pair.
  Encoding encode_pair_at_most(std::string_view first, std::string_view second, std::size_t most,
                               Truncation truncation = Truncation::longest_first);
  std::string decode(std::span<const TokenId> ids, Decoding decoding) const;
  std::int32_t id(std::string_view token) const;  ///< -1 if there is none

  /// In their order, as tokenizers adds them: each gets the id that its content has, or else the next that is free,
  /// whatever a file says; one whose content was added before takes its place. Where that id is the vocabulary's for
  /// another token, decode() gives the vocabulary's.
  void add_tokens(const std::vector<AddedToken>& tokens);
  /// What decode() leaves out with Decoding::skip_special.
  bool is_special(TokenId id) const;
  bool is_added(std::string_view content) const { return added_ids_.find(content) != added_ids_.end(); }
  /// add_bos_token: puts `id` before (or leaves nothing before) the first text.
  void set_single_template(std::vector<TemplatePart> parts) { post_.single = std::move(parts); }
  void set_pair_template(std::vector<TemplatePart> parts) { post_.pair = std::move(parts); }

 private:
  Tokens ids_of(std::string_view text);
  void encode_plain(std::string_view text, bool at_start, Tokens& ids);
  Encoding assemble(std::span<const TemplatePart> parts, const Tokens& first, const Tokens& second,
                    Special special) const;

  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  std::unique_ptr<TokenModel> model_;
  PostProcessor post_;
  TokenDecoder decoder_;
  AddedTokenMatcher raw_added_, normalized_added_;
  std::unordered_map<TokenId, AddedToken> added_;
  StringMap<TokenId> added_ids_;  // by content
  std::set<TokenId> contested_;   // a token of the vocabulary, too, and its file gave the added one another id
  TokenId next_added_ = 0;        // above every added id
};

}  // namespace proctor
