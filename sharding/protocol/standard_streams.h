// Descriptors 0, 1 and 2 belong to standard input, output and error, open or not.
#pragma once

namespace proctor {

/// Opens /dev/null on each of them that is closed, so that no file of ours gets its number and then what is written to
/// the stream. Called first in main().
void hold_standard_streams();

}  // namespace proctor
