#include "orchestrator/planning/row_images.h"

#include <iterator>

#include "orchestrator/images/image_values.h"

namespace proctor {
namespace {

constexpr const char* kOfRequest = "images";  // the key of a row that is a whole request

bool is_request_row(const Task& task) { return task.type == "requests"; }

}  // namespace

bool may_have_images(const Task& task) { return task.images || is_request_row(task); }

Pictures pictures_of(const TaskTemplates& task, ImageFiles& files) {
  if (!may_have_images(*task.task)) return {};
  Pictures pictures;
  if (is_request_row(*task.task)) {
    pictures.columns = {kOfRequest};
    pictures.take = [&files](Document& row) {
      if (row.row.contains(kOfRequest)) store_images(row.row[kOfRequest], files, row.where());
    };
    return pictures;
  }
  for (const Template& one : task.images) std::ranges::move(one.columns(), std::back_inserter(pictures.columns));
  pictures.take = [&task, &files](Document& row) {
    for (const Template& one : task.images)
      if (auto* value = one.place_in(row)) store_images(*value, files, row.where());
  };
  return pictures;
}

void find_images(const TaskTemplates& task, Document& document, ImageFiles& files) {
  if (document.images || !may_have_images(*task.task)) return;
  std::vector<Image> found;
  const auto add = [&](nlohmann::ordered_json value) {
    std::ranges::move(images_of(std::move(value), files, document.file, document.where()), std::back_inserter(found));
  };
  if (is_request_row(*task.task)) {
    if (!document.row.contains(kOfRequest)) return;
    add(document.row[kOfRequest]);
  }
  for (const Template& one : task.images) add(one.value(document));
  document.images = std::move(found);
}

}  // namespace proctor
