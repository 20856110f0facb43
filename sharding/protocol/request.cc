#include "sharding/protocol/request.h"

#include <algorithm>

#include "sharding/protocol/error.h"

namespace proctor {

const Text& text_of(const Part& part) {
  if (const auto* text = std::get_if<Text>(&part)) return *text;
  const Image& image = std::get<Image>(part);
  throw InputError("image " + image.path + " (" + std::to_string(image.width) + " x " + std::to_string(image.height) +
                   ") stands where a text is read; only prompts of generators have images");
}

const Text& text_of(const Request& request, std::size_t part) {
  if (part >= request.parts.size())
    throw InputError(std::string("a request of type ") + to_string(type_of(request.ask)) + " has no part " +
                     std::to_string(part + 1) + ", only " + std::to_string(request.parts.size()));
  return text_of(request.parts[part]);
}

std::size_t text_bytes(const Part& part) {
  const auto* text = std::get_if<Text>(&part);
  return text ? text->size() : 0;
}

bool has_image(const Request& request) {
  return std::ranges::any_of(request.parts, [](const Part& part) { return std::holds_alternative<Image>(part); });
}

bool is_same(const Part& one, const Part& other) {
  const auto *a = std::get_if<Image>(&one), *b = std::get_if<Image>(&other);
  if (!a || !b) return one == other;
  return a->hash == b->hash && a->height == b->height && a->width == b->width;
}

std::span<const Part> context_of(const Request& request) {
  const std::span<const Part> parts = request.parts;
  if (std::holds_alternative<Generate>(request.ask)) return parts;
  const bool scores = std::holds_alternative<Loglikelihood>(request.ask) && !parts.empty();
  return parts.first(scores ? parts.size() - 1 : std::min<std::size_t>(1, parts.size()));
}

std::string shown_context(const Request& request) {
  std::string shown;
  for (const Part& part : context_of(request)) {
    const auto* text = std::get_if<Text>(&part);
    shown += text ? *text : "<image>";
  }
  return shown;
}

}  // namespace proctor
