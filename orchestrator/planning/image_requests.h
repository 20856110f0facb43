// Requests with images, once it is known which model reads them.
#pragma once

#include <string>

#include "orchestrator/images/image_files.h"
#include "orchestrator/planning/work.h"

namespace proctor {

bool has_images(const CellRequests& cell);
/// Of the document that a request belongs to.
std::string where_of(const CellRequests& cell, std::size_t request);

/// Throws InputError where a module that reads no images is asked with some: `where` names the row.
void refuse_blind(const Module& module, const ModelFacts& facts, const Task& task, const std::string& where);
/// Throws InputError where a text writes itself what stands for an image.
void refuse_placeholder(const std::string& text, const VisionFacts& vision, const std::string& where);

/// Gives each (module, task) with images requests as its family writes them, upright where that is asked. Throws
/// InputError naming a row: a module that reads no images, a text that writes a placeholder, images that the processor
/// refuses or that alone are longer than the model; UsageError for settings that its processor does not have.
void write_images(Work& work, ImageFiles& files);

}  // namespace proctor
