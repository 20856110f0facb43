#include "orchestrator/prompts/placed_image.h"

#include <charconv>
#include <utility>

#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

constexpr std::string_view kBeginning = "<image";

struct Mark {
  std::size_t at = 0, size = 0;       ///< bytes; size 0: there is none
  std::optional<std::size_t> number;  ///< from 1
};

/// The next `<image>` or `<image N>` from `from` on.
Mark next_mark(const std::string& text, std::size_t from) {
  for (std::size_t at = from; (at = text.find(kBeginning, at)) != std::string::npos; at += kBeginning.size()) {
    const char* const end = text.data() + text.size();
    const char* behind = text.data() + at + kBeginning.size();
    std::optional<std::size_t> number;
    if (behind != end && *behind == ' ') {
      std::size_t value = 0;
      const auto [after, error] = std::from_chars(behind + 1, end, value);
      if (error != std::errc()) continue;
      number = value;
      behind = after;
    }
    if (behind != end && *behind == '>') return {at, static_cast<std::size_t>(behind + 1 - text.data()) - at, number};
  }
  return {};
}

}  // namespace

std::vector<PlacedImage> take_marks(std::string& text, std::span<const Image> images, const std::string& where) {
  std::vector<PlacedImage> placed;
  std::string rest;
  std::size_t done = 0, unnumbered = 0;
  for (Mark mark = next_mark(text, 0); mark.size > 0; mark = next_mark(text, done)) {
    const std::size_t number = mark.number.value_or(unnumbered + 1);
    unnumbered += !mark.number;
    if (number < 1 || number > images.size())
      throw InputError(where + ": the prompt has " + text.substr(mark.at, mark.size) +
                       (mark.number ? "" : " for the " + std::to_string(number) + ". time") + ", and the row has " +
                       counted(images.size(), "image") + "; give it more by `images`, or take the mark out");
    rest += text.substr(done, mark.at - done);
    placed.push_back({rest.size(), images[number - 1]});
    done = mark.at + mark.size;
  }
  if (placed.empty()) {
    for (const Image& image : images) placed.push_back({0, image});
    return placed;
  }
  if (unnumbered == placed.size() && unnumbered < images.size())
    throw InputError(where + ": the prompt has <image> " + counted(unnumbered, "time") + ", and the row has " +
                     counted(images.size(), "image") +
                     "; mark each, name those that are meant by <image 1>, or mark none");
  rest += text.substr(done);
  text = std::move(rest);
  return placed;
}

std::vector<Part> parts_of(std::string text, std::span<const PlacedImage> images) {
  if (images.empty()) return {std::move(text)};
  std::vector<Part> parts;
  std::size_t done = 0;
  for (const PlacedImage& one : images) {
    if (one.at > done) parts.emplace_back(text.substr(done, one.at - done));
    parts.emplace_back(one.image);
    done = one.at;
  }
  if (done < text.size()) parts.emplace_back(text.substr(done));
  return parts;
}

std::optional<std::vector<Part>> cut_at(std::string_view placeholder, const std::string& text,
                                        std::span<const Image> images) {
  if (count_of(placeholder, text) != images.size()) return std::nullopt;
  std::vector<PlacedImage> placed;
  std::string rest;
  std::size_t done = 0;
  for (const Image& image : images) {
    const std::size_t at = text.find(placeholder, done);
    rest += text.substr(done, at - done);
    placed.push_back({rest.size(), image});
    done = at + placeholder.size();
  }
  return parts_of(rest + text.substr(done), placed);
}

std::size_t count_of(std::string_view placeholder, std::string_view text) {
  std::size_t count = 0;
  if (placeholder.empty()) return 0;
  for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string_view::npos; at += placeholder.size())
    ++count;
  return count;
}

}  // namespace proctor
