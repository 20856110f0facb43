// libjpeg's header, which needs others before it and is no C++ header's neighbour in an alphabetical list.
#pragma once

// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on
