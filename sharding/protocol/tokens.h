// Token ids, as tokenizers number them and networks take them.
#pragma once

#include <cstdint>
#include <vector>

namespace proctor {

using TokenId = std::int32_t;
using Tokens = std::vector<TokenId>;

}  // namespace proctor
