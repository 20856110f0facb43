#include "worker/tokenize_command.h"

#include <filesystem>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "sharding/error.h"
#include "worker/text_codec.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

Json answer(Tokenizer& tokenizer, const TokenizeOptions& options, const Json& line) {
  if (options.decode)
    return tokenizer.decode(line.get<std::vector<std::int32_t>>(),
                            options.keep_special ? Decoding::keep_special : Decoding::skip_special);
  const Special special = options.no_special ? Special::leave_out : Special::add;
  const Encoding encoding =
      line.is_array() ? tokenizer.encode_pair(line.at(0).get<std::string>(), line.at(1).get<std::string>(), special)
                      : tokenizer.encode(line.get<std::string>(), special);
  if (options.types) return {{"ids", encoding.ids}, {"type_ids", encoding.type_ids}};
  return encoding.ids;
}

}  // namespace

void tokenize_lines(const std::string& folder, const TokenizeOptions& options, std::istream& in, std::ostream& out) {
  const std::filesystem::path path = folder;
  std::optional<TextCodec> codec;  // with what tokenizer_config.json changes, as a module has it
  if (std::filesystem::exists(path / "config.json")) codec.emplace(read_model_folder(folder), std::nullopt);
  std::optional<Tokenizer> alone;
  if (!codec) alone.emplace(Tokenizer::read((path / "tokenizer.json").string()));
  Tokenizer& tokenizer = codec ? codec->tokenizer() : *alone;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    try {
      out << answer(tokenizer, options, Json::parse(line)).dump(-1, ' ', /*ensure_ascii=*/true) << '\n';
    } catch (const Json::exception& error) {
      throw InputError("line " + std::to_string(number) + ": " + error.what());
    }
  }
}

}  // namespace proctor
