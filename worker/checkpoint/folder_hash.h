// What a model's folder holds, as a hash: XXH3-128 of every file and tensor that decides a number.
#pragma once

#include <string>

namespace proctor {

class Checkpoint;

/// `beginnings`: of each tensor its name, shape, dtype and first 4 KiB, and every other file whole: other versions of a
/// model are told apart at the cost of reading headers, but for a tensor that differs only further on.
enum class HashOf { everything, beginnings };

/// 32 hexadecimal digits. Throws InputError where a file cannot be read.
std::string folder_hash(const std::string& folder, const Checkpoint& checkpoint, HashOf what);

}  // namespace proctor
