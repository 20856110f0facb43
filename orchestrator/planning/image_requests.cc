#include "orchestrator/planning/image_requests.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "orchestrator/planning/request_sets.h"
#include "orchestrator/prompts/placed_image.h"
#include "orchestrator/task_types/can_answer.h"
#include "sharding/images/image_layout.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

std::string named(const Module& module, const ModelFacts& facts) {
  return "module " + module.name + ": " + facts.architecture + " (" + module.path + ")";
}

/// What a family writes around the images of a context; what is scored stays the last part.
void write_around(Request& request, const VisionFacts& vision) {
  std::vector<Part> parts;
  const auto add = [&](const Text& text) {
    if (text.empty()) return;
    if (auto* last = parts.empty() ? nullptr : std::get_if<Text>(&parts.back()))
      *last += text;
    else
      parts.emplace_back(text);
  };
  const std::span<const Part> context = context_of(request);
  for (const Part& part : context) {
    if (const auto* text = std::get_if<Text>(&part)) {
      add(*text);
      continue;
    }
    add(vision.before);
    parts.push_back(part);
    add(vision.after);
  }
  parts.insert(parts.end(), request.parts.begin() + static_cast<std::ptrdiff_t>(context.size()), request.parts.end());
  request.parts = std::move(parts);
}

CellRequests written_for(const CellRequests& cell, const VisionFacts& vision, ImageFiles& files) {
  CellRequests out = cell;
  for (std::size_t r = 0; r < out.requests.size(); ++r) {
    Request& request = out.requests[r];
    if (!has_image(request)) continue;
    for (Part& part : request.parts) {
      if (auto* image = std::get_if<Image>(&part))
        *image = files.image(image->path, vision.upright);
      else
        refuse_placeholder(std::get<Text>(part), vision, where_of(cell, r));
    }
    write_around(request, vision);
  }
  return out;
}

void refuse_settings(const Module& module, const ModelFacts& facts, const ImageOptions& options) {
  const VisionFacts vision = prepared_so(facts.vision, options);
  if ((options.min_pixels || options.max_pixels) && vision.cutting != VisionFacts::Cutting::grid)
    throw UsageError(
        named(module, facts) +
        ": image: min_pixels and max_pixels are for processors that resize between such bounds (Qwen2-VL's "
        "and later ones); leave them out");
  if (vision.cutting == VisionFacts::Cutting::grid && vision.max_pixels > 0 && vision.min_pixels > vision.max_pixels)
    throw UsageError(named(module, facts) + ": image: min_pixels " + std::to_string(vision.min_pixels) +
                     " is more than max_pixels, " + std::to_string(vision.max_pixels) +
                     " (what is not set is preprocessor_config.json's)");
}

std::int64_t image_tokens(const Request& request, const VisionFacts& vision, const std::string& where) {
  std::int64_t tokens = 0;
  for (const Part& part : request.parts) {
    const auto* image = std::get_if<Image>(&part);
    if (!image) continue;
    try {
      tokens += layout_of(vision, image->height, image->width).tokens;
    } catch (const InputError& error) {
      throw InputError(where + ": image " + image->path + ": " + error.what());
    }
  }
  return tokens;
}

/// Images cannot be cut: what is too long with them alone would fail, whatever its text.
void refuse_too_long(const Work& work, ModuleId m, TaskId t) {
  const VisionFacts vision = work.vision_of(m, t);
  const ModelFacts& facts = work.facts[m.value];
  const CellRequests& cell = work.requests_of(m, t);
  for (std::size_t r = 0; r < cell.requests.size(); ++r) {
    const Request& request = cell.requests[r];
    if (!has_image(request)) continue;
    const std::int64_t tokens = image_tokens(request, vision, where_of(cell, r));
    if (vision.max_length <= 0 || tokens < vision.max_length) continue;
    const auto images =
        std::ranges::count_if(request.parts, [](const Part& part) { return std::holds_alternative<Image>(part); });
    throw InputError(where_of(cell, r) + ": its " + counted(static_cast<std::uint64_t>(images), "image") + " alone " +
                     (images == 1 ? "comes" : "come") + " to " + std::to_string(tokens) + " tokens, and " +
                     named(work.suite.modules[m.value], facts) + " takes " + std::to_string(vision.max_length) +
                     (vision.cutting == VisionFacts::Cutting::grid ? "; lower image.max_pixels, or raise max_length"
                                                                   : "; raise max_length, or take the row out"));
  }
}

/// A set for each way in which the images of another are written; the other is dropped in the end.
class ImageSets {
 public:
  ImageSets(Work& work, ImageFiles& files) : work_(work), files_(files) {}
  ~ImageSets() {
    for (const std::size_t set : replaced_) work_.requests[set] = {};
  }
  ImageSets(const ImageSets&) = delete;  // it drops what it has replaced

  void write(ModuleId m, TaskId t) {
    const std::size_t set = work_.set_of(m, t);
    const std::vector<Request>& requests = work_.requests[set].requests;
    const auto first = std::ranges::find_if(requests, has_image);
    if (first == requests.end()) return;
    const Module& module = work_.suite.modules[m.value];
    refuse_blind(module, work_.facts[m.value], work_.suite.tasks[t.value],
                 where_of(work_.requests[set], static_cast<std::size_t>(first - requests.begin())));
    refuse_settings(module, work_.facts[m.value], work_.suite.image_of(m.value, t.value));
    work_.own_sets[{m, t}] = written(set, work_.vision_of(m, t), is_rendered(work_.suite, m.value, t.value));
    refuse_too_long(work_, m, t);
  }

 private:
  std::size_t written(std::size_t set, VisionFacts vision, bool by_template) {
    if (by_template) vision.before = vision.after = "";  // they stand there already
    const auto [mine, fresh] = known_.try_emplace(
        {set, vision.before, vision.after, vision.placeholder, vision.token, vision.upright}, work_.requests.size());
    if (fresh) work_.requests.push_back(written_for(work_.requests[set], vision, files_));
    replaced_.insert(set);
    return mine->second;
  }
  using Way = std::tuple<std::size_t, std::string, std::string, std::string, std::string, bool>;
  Work& work_;
  ImageFiles& files_;
  std::map<Way, std::size_t> known_;
  std::set<std::size_t> replaced_;
};

}  // namespace

bool has_images(const CellRequests& cell) { return std::ranges::any_of(cell.requests, has_image); }

std::string where_of(const CellRequests& cell, std::size_t request) {
  const auto after = std::ranges::upper_bound(cell.first_request, request);
  return cell.documents.at(static_cast<std::size_t>(after - cell.first_request.begin()) - 1).where();
}

void refuse_blind(const Module& module, const ModelFacts& facts, const Task& task, const std::string& where) {
  if (facts.vision.reads_images()) return;
  throw InputError(named(module, facts) + " reads no images, and task " + task.name + " asks with them (" + where +
                   "); give it a model that does, or name its tasks without this one (modules: tasks)");
}

void refuse_placeholder(const std::string& text, const VisionFacts& vision, const std::string& where) {
  for (const std::string& mark : {vision.placeholder, vision.token})
    if (count_of(mark, text) > 0)
      throw InputError(where + ": the prompt's text holds '" + mark +
                       "', which stands for an image where there are images; take it out of the row");
}

void write_images(Work& work, ImageFiles& files) {
  ImageSets sets(work, files);
  for (std::uint32_t m = 0; m < work.suite.modules.size(); ++m)
    for (std::uint32_t t = 0; t < work.suite.tasks.size(); ++t)
      if (can_answer(work.suite.modules[m], work.suite.tasks[t])) sets.write(ModuleId{m}, TaskId{t});
}

}  // namespace proctor
