// Loops compiled for each instruction set; which one runs is part of a result's identity (DeviceFacts).
#pragma once

#define PROCTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define PROCTOR_INLINE inline __attribute__((always_inline))
