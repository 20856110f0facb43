#include "worker/checkpoint/tokenizer_classes.h"

#include <utility>
#include <vector>

namespace proctor {
namespace {

using Json = nlohmann::json;
using SpecialTokens = std::map<std::string, std::string>;

/// "BartTokenizerFast" -> "Bart"
std::string family_of(const std::string& name) { return name.substr(0, name.find("Tokenizer")); }

SpecialTokens of_bert() {
  return {{"unk_token", "[UNK]"},
          {"sep_token", "[SEP]"},
          {"pad_token", "[PAD]"},
          {"cls_token", "[CLS]"},
          {"mask_token", "[MASK]"}};
}

SpecialTokens of_roberta(const std::string& unknown = "<unk>") {
  return {{"bos_token", "<s>"},   {"eos_token", "</s>"},  {"sep_token", "</s>"},   {"cls_token", "<s>"},
          {"unk_token", unknown}, {"pad_token", "<pad>"}, {"mask_token", "<mask>"}};
}

SpecialTokens of_deberta() {
  SpecialTokens tokens = of_bert();
  tokens["bos_token"] = "[CLS]", tokens["eos_token"] = "[SEP]";
  return tokens;
}

SpecialTokens of_albert() {
  SpecialTokens tokens = of_deberta();
  tokens["unk_token"] = "<unk>", tokens["pad_token"] = "<pad>";
  return tokens;
}

SpecialTokens of_gpt2() {
  const std::string end = "<|endoftext|>";
  return {{"unk_token", end}, {"bos_token", end}, {"eos_token", end}};
}

SpecialTokens of_t5() { return {{"eos_token", "</s>"}, {"unk_token", "<unk>"}, {"pad_token", "<pad>"}}; }

}  // namespace

std::string default_tokenizer_class(const Json& config) {
  if (config.contains("tokenizer_class") && config.at("tokenizer_class").is_string())
    return config.at("tokenizer_class");
  if (!config.contains("architectures")) return "";
  static const std::vector<std::pair<const char*, const char*>> picked = {
      {"Llama", "LlamaTokenizerFast"}, {"Mistral", "LlamaTokenizerFast"}, {"Bert", "BertTokenizerFast"},
      {"T5", "T5TokenizerFast"},       {"MT5", "T5TokenizerFast"},        {"UMT5", "T5TokenizerFast"},
      {"Bart", "BartTokenizerFast"}};
  const std::string architecture = config.at("architectures").at(0);
  for (const auto& [model, tokenizer] : picked)
    if (architecture.starts_with(model)) return tokenizer;
  return "";
}

bool class_gives_types(const std::string& name) {
  static const char* const kWithout[] = {"DistilBert", "Roberta", "XLMRoberta", "MPNet", "Camembert", "Longformer",
                                         "Bart",       "BART",    "MBart",      "Llama", "CodeLlama", "GPT2",
                                         "Qwen2",      "T5",      "Gemma",      "CLIP",  "Whisper",   "ModernBert"};
  for (const char* without : kWithout)
    if (name.starts_with(without)) return false;
  return true;
}

std::map<std::string, std::string> class_tokens(const std::string& name) {
  static const std::map<std::string, SpecialTokens> known = {
      {"Albert", of_albert()},
      {"Bart", of_roberta()},
      {"Bert", of_bert()},
      {"Bloom", {{"unk_token", "<unk>"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}, {"pad_token", "<pad>"}}},
      {"Camembert", of_roberta()},
      {"CodeGen", of_gpt2()},
      {"Cohere", {{"unk_token", "<UNK>"}, {"bos_token", "<BOS_TOKEN>"}, {"eos_token", "<|END_OF_TURN_TOKEN|>"}}},
      {"DebertaV2", of_deberta()},
      {"DistilBert", of_bert()},
      {"Electra", of_bert()},
      {"GPT2", of_gpt2()},
      {"GPTNeoX", of_gpt2()},
      {"Gemma", {{"unk_token", "<unk>"}, {"bos_token", "<bos>"}, {"eos_token", "<eos>"}, {"pad_token", "<pad>"}}},
      {"Llama", {{"unk_token", "<unk>"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}}},
      {"Longformer", of_roberta()},
      {"MPNet", of_roberta("[UNK]")},
      {"MT5", of_t5()},
      {"MobileBert", of_bert()},
      {"Qwen2", {{"unk_token", "<|endoftext|>"}, {"eos_token", "<|endoftext|>"}, {"pad_token", "<|endoftext|>"}}},
      {"Roberta", of_roberta()},
      {"T5", of_t5()},
      {"XLMRoberta", of_roberta()}};
  const auto found = known.find(family_of(name));
  return found == known.end() ? SpecialTokens() : found->second;
}

std::int64_t extra_ids(const std::string& name, const Json& tokenizer_config) {
  constexpr std::int64_t kUsual = 100;
  const std::string family = family_of(name);
  if (family != "T5" && family != "MT5") return 0;
  const auto said = tokenizer_config.find("extra_ids");
  return said != tokenizer_config.end() && said->is_number_integer() ? said->get<std::int64_t>() : kUsual;
}

}  // namespace proctor
