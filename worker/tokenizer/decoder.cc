#include "worker/tokenizer/decoder.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/pattern.h"
#include "worker/tokenizer/pre_tokenizer.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

using Pieces = std::vector<std::string>;

std::string join(const Pieces& tokens, std::string_view between = "") {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i) text += between;
    text += tokens[i];
  }
  return text;
}

const std::unordered_map<std::string, char>& bytes_of_characters() {
  static const auto table = [] {
    std::unordered_map<std::string, char> map;
    for (unsigned byte = 0; byte < 256; ++byte)
      map.emplace(byte_character(static_cast<unsigned char>(byte)), static_cast<char>(byte));
    return map;
  }();
  return table;
}

/// The bytes a byte-level token stands for; itself where a character of it stands for none.
std::string bytes_of(const std::string& token) {
  std::string bytes;
  for (std::size_t at = 0, length = 0; at < token.size(); at += length) {
    code_point_at(token, at, length);
    const auto found = bytes_of_characters().find(token.substr(at, length));
    if (found == bytes_of_characters().end()) return token;
    bytes += found->second;
  }
  return bytes;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

Pieces decode_byte_level(Pieces tokens) {
  for (std::string& token : tokens) token = bytes_of(token);
  return {utf8_lossy(join(tokens))};
}

std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

Pieces decode_byte_fallback(Pieces tokens) {
  Pieces out;
  std::string bytes;
  const auto end_run = [&] {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes))
      out.push_back(bytes);
    else
      out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = fallback_byte(token)) {
      bytes += *byte;
      continue;
    }
    end_run();
    out.push_back(std::move(token));
  }
  end_run();
  return out;
}

/// Up to `start` copies of `content` off the left of each token, up to `stop` off the right.
TokenDecoder strip(const nlohmann::json& json) {
  return [content = json.at("content").get<std::string>(), start = json.at("start").get<int>(),
          stop = json.at("stop").get<int>()](Pieces tokens) {
    for (std::string& token : tokens) {
      for (int i = 0; i < start && token.starts_with(content); ++i) token.erase(0, content.size());
      for (int i = 0; i < stop && token.ends_with(content); ++i) token.resize(token.size() - content.size());
    }
    return tokens;
  };
}

TokenDecoder metaspace(const nlohmann::json& json) {
  const Pattern mark = Pattern::literal(json.value("replacement", "\xE2\x96\x81"));
  bool prefixed = json.value("prepend_scheme", "always") != "never";
  if (json.contains("add_prefix_space")) prefixed = prefixed && json.at("add_prefix_space").get<bool>();
  return [mark, prefixed](Pieces tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = mark.replace_all(tokens[i], i == 0 && prefixed ? "" : " ");
    }
    return tokens;
  };
}

TokenDecoder bpe_suffix(const nlohmann::json& json) {
  const Pattern suffix = Pattern::literal(json.value("suffix", "</w>"));
  return [suffix](Pieces tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = suffix.replace_all(tokens[i], i + 1 == tokens.size() ? "" : " ");
    return tokens;
  };
}

std::string clean_up_word_piece(std::string token) {
  token = clean_up_spaces(std::move(token));
  replace_all(token, " do not", " don't");
  return token;
}

/// Continuations join; then, where asked, no space before punctuation and English contractions.
TokenDecoder word_piece(const nlohmann::json& json) {
  return [prefix = json.value("prefix", "##"), cleanup = json.value("cleanup", true)](Pieces tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) token = token.starts_with(prefix) ? token.substr(prefix.size()) : " " + token;
      if (cleanup) token = clean_up_word_piece(std::move(token));
    }
    return tokens;
  };
}

/// Connectionist temporal classification: repeated tokens are one, padding is nothing.
TokenDecoder ctc(const nlohmann::json& json) {
  return [pad = Pattern::literal(json.value("pad_token", "<pad>")),
          space = Pattern::literal(json.value("word_delimiter_token", "|")),
          cleanup = json.value("cleanup", true)](Pieces tokens) {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      token = pad.replace_all(token, "");
      if (cleanup) token = space.replace_all(clean_up_word_piece(std::move(token)), " ");
    }
    std::erase(tokens, "");
    return tokens;
  };
}

TokenDecoder sequence(const nlohmann::json& parts) {
  std::vector<TokenDecoder> steps;
  for (const auto& part : parts) steps.push_back(make_token_decoder(part));
  return [steps](Pieces tokens) {
    for (const auto& step : steps) tokens = step(std::move(tokens));
    return tokens;
  };
}

}  // namespace

std::string clean_up_spaces(std::string text) {
  const std::pair<const char*, const char*> rules[] = {{" .", "."},     {" ?", "?"},     {" !", "!"},   {" ,", ","},
                                                       {" ' ", "'"},    {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"},
                                                       {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : rules) replace_all(text, from, to);
  return text;
}

TokenDecoder make_token_decoder(const nlohmann::json& json) {
  if (json.is_null()) return [](Pieces tokens) { return Pieces{join(tokens, " ")}; };
  const std::string type = json.at("type");
  if (type == "Sequence") return sequence(json.at("decoders"));
  if (type == "ByteLevel") return decode_byte_level;
  if (type == "ByteFallback") return decode_byte_fallback;
  if (type == "Fuse") return [](Pieces tokens) { return Pieces{join(tokens)}; };
  if (type == "Strip") return strip(json);
  if (type == "Metaspace") return metaspace(json);
  if (type == "CTC") return ctc(json);
  if (type == "WordPiece") return word_piece(json);
  if (type == "BPEDecoder") return bpe_suffix(json);
  if (type == "Replace")
    return
        [pattern = Pattern::from_json(json.at("pattern")), by = json.at("content").get<std::string>()](Pieces tokens) {
          for (std::string& token : tokens) token = pattern.replace_all(token, by);
          return tokens;
        };
  throw InputError("decoder '" + type + "' is not supported");
}

}  // namespace proctor
