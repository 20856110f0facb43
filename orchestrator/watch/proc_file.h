// Files and folders of /proc, whose processes may vanish while they are read. Any thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace proctor {

/// The whole file; nothing where it cannot be opened or read to its end: its process is gone, or another user's.
std::optional<std::string> read_whole(const std::string& path);

/// Entries without "." and "..", in no order; empty where the folder cannot be read.
std::vector<std::string> names_in(const std::string& folder);

/// The numbers of all processes, threads of the kernel among them.
std::vector<pid_t> pids_in_proc();

/// With '?' for what is not printable ASCII: names of processes and files may hold any byte, reports may not.
std::string printable(std::string text);

}  // namespace proctor
