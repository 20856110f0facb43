#include "orchestrator/metrics/vectors.h"

#include <cmath>
#include <cstring>

#include "sharding/protocol/error.h"

namespace proctor {

std::vector<float> vector_of(const Response& response) {
  if (!response.error.empty()) return {};
  const auto& bytes = response.value.at(0).get_binary();
  PROCTOR_CHECK(bytes.size() % sizeof(float) == 0, "a vector is whole float32 numbers");
  std::vector<float> vector(bytes.size() / sizeof(float));
  std::memcpy(vector.data(), bytes.data(), bytes.size());
  return vector;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

double cosine(double ab, double aa, double bb) { return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0; }

}  // namespace proctor
