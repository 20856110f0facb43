#include "worker/checkpoint/text_codec.h"

#include <filesystem>

#include "sharding/protocol/error.h"
#include "worker/base/json_file.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

using What = TemplatePart::What;

bool is_llama(const std::string& name) {
  return name.starts_with("LlamaTokenizer") || name.starts_with("CodeLlamaTokenizer") ||
         name.starts_with("GemmaTokenizer");
}

/// Classes whose fast tokenizer rebuilds its template from add_bos_token and add_eos_token (transformers 4.57.1).
bool rebuilds_template(const std::string& name) { return is_llama(name) || name.starts_with("GPTNeoXTokenizer"); }

void rebuild_template(Tokenizer& tokenizer, const TokenizerSettings& settings, std::optional<bool> add_bos) {
  std::vector<TemplatePart> parts;
  const bool bos = add_bos ? *add_bos : settings.add_bos_token.value_or(is_llama(settings.tokenizer_class));
  if (bos) parts.push_back({What::special, {tokenizer.id(settings.bos_token)}, 0});
  parts.push_back({What::first, {}, 0});
  if (settings.add_eos_token.value_or(false)) parts.push_back({What::special, {tokenizer.id(settings.eos_token)}, 0});
  tokenizer.set_single_template(std::move(parts));
}

/// Classes whose normalizer is as their own arguments say.
bool is_bert(const std::string& name) {
  return name.starts_with("BertTokenizer") || name.starts_with("DistilBertTokenizer") ||
         name.starts_with("ElectraTokenizer") || name.starts_with("MobileBertTokenizer");
}

/// A part of tokenizer.json where it is of this type, else null.
nlohmann::json* part_of_type(nlohmann::json& json, const char* part, const char* type) {
  if (!json.is_object() || !json.contains(part) || !json[part].is_object()) return nullptr;
  return json[part].value("type", "") == type ? &json[part] : nullptr;
}

/// tokenizer.json with what transformers overrides: a ByteLevel pre-tokenizer's add_prefix_space, BERT's normalizer.
Tokenizer read_tokenizer(const ModelFolder& folder) {
  const std::string path = (std::filesystem::path(folder.path) / "tokenizer.json").string();
  const TokenizerSettings& settings = folder.tokenizer;
  nlohmann::json json = read_json_file(path);
  if (nlohmann::json* bytes = part_of_type(json, "pre_tokenizer", "ByteLevel");
      bytes && !is_llama(settings.tokenizer_class))
    (*bytes)["add_prefix_space"] = settings.add_prefix_space.value_or(false);
  if (nlohmann::json* bert = part_of_type(json, "normalizer", "BertNormalizer");
      bert && is_bert(settings.tokenizer_class)) {
    (*bert)["lowercase"] = settings.do_lower_case.value_or(true);
    (*bert)["strip_accents"] = settings.strip_accents ? nlohmann::json(*settings.strip_accents) : nlohmann::json();
    (*bert)["handle_chinese_chars"] = settings.tokenize_chinese_chars.value_or(true);
  }
  return Tokenizer(json, path);
}

void add_configured_tokens(Tokenizer& tokenizer, const TokenizerSettings& settings) {
  tokenizer.add_tokens(settings.added_tokens);
  std::vector<AddedToken> special;  // those that are in the vocabulary only, or nowhere yet
  for (const AddedToken& token : settings.special_tokens)
    if (!tokenizer.is_added(token.content)) special.push_back(token);
  tokenizer.add_tokens(special);
}

bool python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

}  // namespace

std::size_t trailing_white_space(std::string_view text) {
  std::size_t end = text.size(), length = 0;
  while (end > 0) {
    const std::size_t last = previous_code_point(text, end);
    if (!python_space(code_point_at(text, last, length))) break;
    end = last;
  }
  return text.size() - end;
}

std::string stripped(std::string_view text) {
  std::size_t length = 0;
  text.remove_suffix(trailing_white_space(text));
  while (!text.empty() && python_space(code_point_at(text, 0, length))) text.remove_prefix(length);
  return std::string(text);
}

TextCodec::TextCodec(const ModelFolder& folder, std::optional<bool> add_bos_token) try
    : tokenizer_(read_tokenizer(folder)), settings_(folder.tokenizer), add_bos_token_(add_bos_token) {
  add_configured_tokens(tokenizer_, settings_);
  if (!settings_.bos_token.empty()) bos_id_ = tokenizer_.id(settings_.bos_token);
  if (!settings_.eos_token.empty()) eos_id_ = tokenizer_.id(settings_.eos_token);
  if (rebuilds_template(settings_.tokenizer_class) && bos_id_ >= 0)
    rebuild_template(tokenizer_, settings_, add_bos_token_);
  prefix_text_ = bos_id_ >= 0 ? settings_.bos_token : settings_.eos_token;
} catch (const nlohmann::json::exception& error) {
  throw InputError(folder.path + ": tokenizer_config.json is not as expected: " + error.what());
}

std::int32_t TextCodec::prefix_id() const {
  if (bos_id_ >= 0) return bos_id_;
  if (eos_id_ >= 0) return eos_id_;
  throw InputError(
      "the tokenizer has neither a BOS nor an EOS token, so an empty context has no beginning; name one in "
      "tokenizer_config.json");
}

Tokens TextCodec::encode(std::string_view text) {
  Special special = add_bos_token_.value_or(true) ? Special::add : Special::leave_out;
  if (!prefix_text_.empty() && text.starts_with(prefix_text_)) special = Special::leave_out;
  return tokenizer_.encode(text, special).ids;
}

ContextAndContinuation TextCodec::encode_pair(std::string context, std::string continuation) {
  ContextAndContinuation pair;
  if (context.empty()) {
    pair.continuation = encode_without_specials(continuation);
    if (!pair.continuation.empty() && pair.continuation.front() == prefix_id()) {
      pair.context = {pair.continuation.front()};
      pair.continuation.erase(pair.continuation.begin());
    } else {
      pair.context = {prefix_id()};
    }
  } else {
    const std::size_t spaces = trailing_white_space(context);
    continuation.insert(0, context, context.size() - spaces, spaces);
    context.resize(context.size() - spaces);
    pair.context = encode(context);
    pair.continuation = encode(context + continuation);
    pair.continuation.erase(pair.continuation.begin(),
                            pair.continuation.begin() +
                                static_cast<std::ptrdiff_t>(std::min(pair.context.size(), pair.continuation.size())));
  }
  if (pair.continuation.empty()) throw InputError("the continuation has no token of its own");
  if (pair.context.empty()) throw InputError("the context has no token (it is white space only)");
  return pair;
}

ContextAndContinuation TextCodec::encode_apart(std::string context, std::string continuation) {
  if (context.empty()) return encode_pair(std::move(context), std::move(continuation));
  const std::size_t spaces = trailing_white_space(context);
  continuation.insert(0, context, context.size() - spaces, spaces);
  context.resize(context.size() - spaces);
  ContextAndContinuation pair{encode(context), encode_without_specials(continuation)};
  if (pair.continuation.empty()) throw InputError("the continuation has no token of its own");
  if (pair.context.empty()) throw InputError("the context has no token");
  return pair;
}

std::string TextCodec::decode(std::span<const TokenId> ids) const {
  std::string text = tokenizer_.decode(ids, Decoding::skip_special);
  return settings_.clean_up_spaces ? clean_up_spaces(std::move(text)) : text;
}

std::string TextCodec::decode_keeping(std::span<const TokenId> ids, std::span<const TokenId> kept) const {
  Tokens left;
  for (const TokenId id : ids)
    if (!tokenizer_.is_special(id) || std::ranges::find(kept, id) != kept.end()) left.push_back(id);
  return decode_whole(left);
}

std::string TextCodec::decode_whole(std::span<const TokenId> ids) const {
  std::string text = tokenizer_.decode(ids, Decoding::keep_special);
  return settings_.clean_up_spaces ? clean_up_spaces(std::move(text)) : text;
}

}  // namespace proctor
