#include "worker/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include "sharding/protocol/error.h"
#include "worker/base/json_file.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

Json part(const Json& json, const char* key) { return json.contains(key) ? json.at(key) : Json(nullptr); }

/// What a template's special tokens leave of `most`.
std::size_t room_in(std::span<const TemplatePart> parts, std::size_t most) {
  std::size_t special = 0;
  for (const TemplatePart& part : parts) special += part.ids.size();
  return most > special ? most - special : 0;
}

AddedToken read_added(const Json& json) {
  AddedToken token;
  token.content = json.at("content");
  const Json& id = json.at("id");
  if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > kMostTokenId)
    throw InputError("added token '" + token.content + "' has id " + id.dump() + ", which is no token id");
  token.id = id.get<TokenId>();
  token.single_word = json.value("single_word", false);
  token.lstrip = json.value("lstrip", false);
  token.rstrip = json.value("rstrip", false);
  token.special = json.value("special", false);
  token.normalized = json.value("normalized", !token.special);
  return token;
}

}  // namespace

Tokenizer::Tokenizer(const Json& json, const std::string& file) try
    : normalizer_(make_normalizer(part(json, "normalizer"))),
      pre_tokenizer_(make_pre_tokenizer(part(json, "pre_tokenizer"))),
      model_(make_token_model(json.at("model"))),
      post_(make_post_processor(part(json, "post_processor"))),
      decoder_(make_token_decoder(part(json, "decoder"))) {
  std::vector<AddedToken> tokens;
  if (json.contains("added_tokens"))
    for (const auto& added : json.at("added_tokens")) tokens.push_back(read_added(added));
  add_tokens(tokens);
} catch (const Json::exception& error) {
  throw InputError(file + ": not a tokenizer.json as expected: " + error.what());
} catch (const InputError& error) {
  throw InputError(file + ": " + error.what());
}

Tokenizer Tokenizer::read(const std::string& path) { return Tokenizer(read_json_file(path), path); }

void Tokenizer::add_tokens(const std::vector<AddedToken>& tokens) {
  for (AddedToken token : tokens) {
    if (token.content.empty()) continue;
    const TokenId known = id(token.content);
    const TokenId said = std::exchange(token.id, known);
    if (known < 0) token.id = std::max(next_added_, static_cast<TokenId>(model_->size()));
    const std::string* const other = model_->token(token.id);
    if (said >= 0 && said != token.id && other && *other != token.content) contested_.insert(token.id);
    next_added_ = std::max(next_added_, token.id + 1);
    added_ids_[token.content] = token.id;
    added_[token.id] = std::move(token);
  }
  raw_added_ = normalized_added_ = AddedTokenMatcher();
  for (const auto& [id, added] : added_) {
    AddedToken token = added;
    if (token.normalized) token.content = normalizer_(token.content);
    (token.normalized ? normalized_added_ : raw_added_).add(std::move(token));
  }
}

void Tokenizer::encode_plain(std::string_view text, bool at_start, Tokens& ids) {
  const std::string normal = normalizer_(std::string(text));
  for (const auto& span : normalized_added_.cut(normal)) {
    if (span.token) {
      ids.push_back(span.token->id);
      continue;
    }
    Words words{normal.substr(span.begin, span.end - span.begin), {}, at_start && span.begin == 0};
    words.ranges.emplace_back(0, static_cast<std::uint32_t>(words.text.size()));
    pre_tokenizer_(words);
    for (const auto& [begin, end] : words.ranges)
      model_->encode(std::string_view(words.text).substr(begin, end - begin), ids);
  }
}

Tokens Tokenizer::ids_of(std::string_view text) {
  if (!is_valid_utf8(text)) throw InputError("text is not valid UTF-8");
  Tokens ids;
  for (const auto& span : raw_added_.cut(text)) {
    if (span.token)
      ids.push_back(span.token->id);
    else
      encode_plain(text.substr(span.begin, span.end - span.begin), span.begin == 0, ids);
  }
  return ids;
}

Encoding Tokenizer::assemble(std::span<const TemplatePart> parts, const Tokens& first, const Tokens& second,
                             Special special) const {
  Encoding encoding;
  for (const TemplatePart& part : parts) {
    if (part.what == TemplatePart::What::special && special == Special::leave_out) continue;
    const auto& ids = part.what == TemplatePart::What::special ? part.ids
                      : part.what == TemplatePart::What::first ? first
                                                               : second;
    encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    encoding.type_ids.insert(encoding.type_ids.end(), ids.size(), part.type_id);
  }
  return encoding;
}

Encoding Tokenizer::encode(std::string_view text, Special special) {
  return assemble(post_.single, ids_of(text), {}, special);
}

Encoding Tokenizer::encode_at_most(std::string_view text, std::size_t most) {
  Tokens ids = ids_of(text);
  const std::size_t room = room_in(post_.single, most), cut = ids.size() > room ? ids.size() - room : 0;
  ids.resize(ids.size() - cut);
  Encoding encoding = assemble(post_.single, ids, {}, Special::add);
  encoding.truncated = cut;
  return encoding;
}

Encoding Tokenizer::encode_pair(std::string_view first, std::string_view second, Special special) {
  if (!post_.no_pair.empty()) throw InputError(post_.no_pair);
  const auto a = ids_of(first), b = ids_of(second);
  return assemble(post_.pair, a, b, special);
}

Encoding Tokenizer::encode_pair_at_most(std::string_view first, std::string_view second, std::size_t most,
                                        Truncation truncation) {
  if (!post_.no_pair.empty()) throw InputError(post_.no_pair);
  Tokens a = ids_of(first), b = ids_of(second);
  const std::size_t before = a.size() + b.size(), room = room_in(post_.pair, most);
  if (truncation == Truncation::only_second) {
    a.resize(std::min(a.size(), most * 3 / 4));
    b.resize(std::min(b.size(), room - std::min(room, a.size())));
  } else if (before > room) {
    const bool a_is_longer = a.size() > b.size();
    Tokens &shorter = a_is_longer ? b : a, &longer = a_is_longer ? a : b;
    std::size_t keep = shorter.size(), rest = room - std::min(room, keep);
    if (rest < keep) {  // both down to half
      const bool odd_is_shorters = truncation == Truncation::longest_first_python && !a_is_longer;
      keep = odd_is_shorters ? room - room / 2 : room / 2;
      rest = room - keep;
    }
    shorter.resize(std::min(shorter.size(), keep));
    longer.resize(std::min(longer.size(), rest));
  }
  Encoding encoding = assemble(post_.pair, a, b, Special::add);
  encoding.truncated = before - a.size() - b.size();
  return encoding;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, Decoding decoding) const {
  std::vector<std::string> tokens;
  for (std::int32_t id : ids) {
    if (const auto added = added_.find(id); added != added_.end() && !contested_.contains(id)) {
      if (decoding == Decoding::keep_special || !is_special(id)) tokens.push_back(added->second.content);
    } else if (const std::string* token = model_->token(id)) {
      tokens.push_back(*token);
    }
  }
  std::string text;
  for (const std::string& piece : decoder_(std::move(tokens))) text += piece;
  return text;
}

bool Tokenizer::is_special(TokenId id) const {
  const auto added = added_.find(id);
  return added != added_.end() && !contested_.contains(id) && added->second.special;
}

std::int32_t Tokenizer::id(std::string_view token) const {
  if (const auto added = added_ids_.find(token); added != added_ids_.end()) return added->second;
  return model_->id(token).value_or(-1);
}

}  // namespace proctor
