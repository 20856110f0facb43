#include "orchestrator/metrics/vectors.h"

#include <cmath>

namespace proctor {

const std::vector<float>& vector_of(const Response& response) {
  static const std::vector<float> none;
  const auto* answer = std::get_if<EmbedAnswer>(&response.answer);
  return answer ? answer->vector : none;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

double cosine(double ab, double aa, double bb) { return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0; }

}  // namespace proctor
