#include "sharding/protocol/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace proctor {

void hold_standard_streams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
    if (fcntl(stream, F_GETFD) < 0)  // the lowest number that is free is this one
      (void)!open("/dev/null", stream == STDIN_FILENO ? O_RDONLY : O_WRONLY);
}

}  // namespace proctor
