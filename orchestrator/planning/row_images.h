// From rows to the images that they ask with.
#pragma once

#include "orchestrator/data/documents.h"
#include "orchestrator/images/image_files.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

/// Whether rows of this task may have images.
bool may_have_images(const Task& task);

/// What is to be done with a task's rows as they are read: bytes are written down, so that rows stay small.
Pictures pictures_of(const TaskTemplates& task, ImageFiles& files);

/// Document::images, unless they are there. Throws InputError naming the row and the image.
void find_images(const TaskTemplates& task, Document& document, ImageFiles& files);

}  // namespace proctor
