#include "worker/tokenizer/normalizer.h"

#include <optional>
#include <vector>

#include "sharding/protocol/error.h"
#include "worker/tokenizer/pattern.h"
#include "worker/tokenizer/pre_tokenizer.h"
#include "worker/tokenizer/precompiled.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

Normalizer sequence(const nlohmann::json& parts) {
  std::vector<Normalizer> steps;
  for (const auto& part : parts) steps.push_back(make_normalizer(part));
  return [steps](std::string text) {
    for (const auto& step : steps) text = step(std::move(text));
    return text;
  };
}

std::string strip(const std::string& text, bool left, bool right) {
  std::size_t begin = 0, end = text.size(), length = 0;
  while (left && begin < end && is_white_space(code_point_at(text, begin, length))) begin += length;
  while (right && end > begin) {
    const std::size_t last = previous_code_point(text, end);
    if (!is_white_space(code_point_at(text, last, length))) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

/// Tried on BERT's own code: U+2B920 where the block begins at U+2B820.
bool is_cjk(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

std::string bert_clean(const std::string& text) {
  std::string out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = code_point_at(text, at, length);
    const bool break_or_tab = c == '\t' || c == '\n' || c == '\r';
    if (c == 0 || c == 0xFFFD || (!break_or_tab && is_other(c))) continue;
    if (is_white_space(c))
      out += ' ';
    else
      out.append(text, at, length);
  }
  return out;
}

std::string bert_space_cjk(const std::string& text) {
  std::string out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const bool cjk = is_cjk(code_point_at(text, at, length));
    out += cjk ? " " : "";
    out.append(text, at, length);
    out += cjk ? " " : "";
  }
  return out;
}

/// What sentencepiece's nmt rules drop, and what they make a space.
std::string nmt(const std::string& text) {
  std::string out;
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    const char32_t c = code_point_at(text, at, length);
    const bool dropped =
        (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    const bool space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                       (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
                       c == 0xFFFD;
    if (space)
      out += ' ';
    else if (!dropped)
      out.append(text, at, length);
  }
  return out;
}

std::string byte_characters(const std::string& text) {
  std::string out;
  for (const char byte : text) out += byte_character(static_cast<unsigned char>(byte));
  return out;
}

Normalizer bert(const nlohmann::json& json) {
  const bool clean = json.value("clean_text", true), cjk = json.value("handle_chinese_chars", true),
             lower = json.value("lowercase", true);
  const bool given = json.contains("strip_accents") && json.at("strip_accents").is_boolean();
  const bool strip_accents = given ? json.at("strip_accents").get<bool>() : lower;
  return [=](std::string text) {
    if (clean) text = bert_clean(text);
    if (cjk) text = bert_space_cjk(text);
    if (strip_accents) text = without_nonspacing_marks(normalized(text, NormalForm::nfd));
    return lower ? lower_case(text) : text;
  };
}

std::optional<NormalForm> normal_form(const std::string& type) {
  if (type == "NFC") return NormalForm::nfc;
  if (type == "NFD") return NormalForm::nfd;
  if (type == "NFKC") return NormalForm::nfkc;
  if (type == "NFKD") return NormalForm::nfkd;
  return std::nullopt;
}

}  // namespace

Normalizer make_normalizer(const nlohmann::json& json) {
  if (json.is_null()) return [](std::string text) { return text; };
  const std::string type = json.at("type");
  if (type == "Sequence") return sequence(json.at("normalizers"));
  if (const auto form = normal_form(type)) return [form = *form](std::string text) { return normalized(text, form); };
  if (type == "Lowercase") return [](std::string text) { return lower_case(text); };
  if (type == "StripAccents") return [](std::string text) { return without_marks(text); };
  if (type == "Prepend")
    return [prefix = json.at("prepend").get<std::string>()](std::string text) {
      return text.empty() ? text : prefix + text;
    };
  if (type == "Replace")
    return [pattern = Pattern::from_json(json.at("pattern")),
            by = json.at("content").get<std::string>()](std::string text) { return pattern.replace_all(text, by); };
  if (type == "Strip")
    return [left = json.value("strip_left", true), right = json.value("strip_right", true)](std::string text) {
      return strip(text, left, right);
    };
  if (type == "Nmt") return [](std::string text) { return nmt(text); };
  if (type == "ByteLevel") return [](std::string text) { return byte_characters(text); };
  if (type == "BertNormalizer") return bert(json);
  if (type == "Precompiled")
    return [map = CharacterMap(json.at("precompiled_charsmap"))](std::string text) { return map.apply(text); };
  throw InputError("normalizer '" + type + "' is not supported");
}

}  // namespace proctor
