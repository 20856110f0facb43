#include "worker/kinds/kinds.h"

#include "sharding/error.h"
#include "worker/kinds/generator.h"

namespace proctor {

const Kind& find_kind(const std::string& name) {
  static const std::vector<Kind> table = {
      {"generator", {"loglikelihood", "loglikelihood_rolling", "generate_until"}, open_generator},
  };
  std::string known;
  for (const Kind& kind : table) {
    if (kind.name == name) return kind;
    known += (known.empty() ? "" : ", ") + kind.name;
  }
  throw InputError("kind '" + name + "' is not known (known: " + known + ")");
}

}  // namespace proctor
