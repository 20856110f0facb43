// Python's sum() of floats: CPython compensates since 3.12; `naive` reproduces 3.11 for oracle tests.
#pragma once

#include <span>

namespace proctor {

enum class PythonSum { compensated, naive };

double python_sum(std::span<const double> values, PythonSum how = PythonSum::compensated);

}  // namespace proctor
