# LibTorch through imported targets of our own: its TorchConfig.cmake insists on nvcc. CUDA's and NCCL's headers come from
# an installed CUDA Toolkit where there is one that matches, else from the wheel's own nvidia-* packages.
set(_default ${CMAKE_SOURCE_DIR}/.deps)
if(DEFINED ENV{PROCTOR_DEPS})
  set(_default $ENV{PROCTOR_DEPS})
endif()
if(PROCTOR_TORCH)
  set(TORCH_ROOT ${PROCTOR_TORCH})
elseif(SKBUILD)  # pip builds a wheel: the torch that it will run with
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE)
else()
  set(TORCH_ROOT ${_default}/torch-2.11.0/torch)
endif()
if(NOT EXISTS ${TORCH_ROOT}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "no LibTorch in ${TORCH_ROOT} (lib/libtorch_cpu.so is missing); run tools/setup, or name an installed torch with -DPROCTOR_TORCH=DIR")
endif()
get_filename_component(_site ${TORCH_ROOT} DIRECTORY)

add_library(torch_headers INTERFACE)
target_include_directories(torch_headers SYSTEM INTERFACE ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
target_compile_definitions(torch_headers INTERFACE AT_PER_OPERATOR_HEADERS _GLIBCXX_USE_CXX11_ABI=1)

function(import_library name file)
  add_library(${name} SHARED IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${file})
endfunction()
import_library(c10 ${TORCH_ROOT}/lib/libc10.so)
import_library(torch_cpu ${TORCH_ROOT}/lib/libtorch_cpu.so)

add_library(torch_for_cpu INTERFACE)
target_link_libraries(torch_for_cpu INTERFACE torch_headers torch_cpu c10)

set(NVIDIA_CUDA ${_site}/nvidia/cu13)
set(NVIDIA_NCCL ${_site}/nvidia/nccl)
set(PROCTOR_HAS_CUDA OFF)
if(EXISTS ${TORCH_ROOT}/lib/libtorch_cuda.so AND EXISTS ${NVIDIA_CUDA}/include/cuda_runtime_api.h AND EXISTS ${NVIDIA_NCCL}/include/nccl.h)
  set(PROCTOR_HAS_CUDA ON)
  import_library(c10_cuda ${TORCH_ROOT}/lib/libc10_cuda.so)
  import_library(torch_cuda ${TORCH_ROOT}/lib/libtorch_cuda.so)
  import_library(cudart ${NVIDIA_CUDA}/lib/libcudart.so.13)
  import_library(nccl ${NVIDIA_NCCL}/lib/libnccl.so.2)
  add_library(torch_for_cuda INTERFACE)
  target_include_directories(torch_for_cuda SYSTEM INTERFACE ${NVIDIA_CUDA}/include ${NVIDIA_NCCL}/include)
  target_link_libraries(torch_for_cuda INTERFACE torch_for_cpu torch_cuda c10_cuda cudart nccl)
else()
  message(STATUS "this torch has no CUDA half: --device cuda will say so")
endif()
