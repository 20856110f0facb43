// What a person is told beside the answers: lines on standard error.
#pragma once

#include <string>

namespace proctor {

void tell(const std::string& message);

}  // namespace proctor
