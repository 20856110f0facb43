# proctor's numerics: a hash of the sources that compute, comments and white space left out (tools/numerics.py). Part of
# every result's identity, so that answers of another computation are never taken for this one's.
set(_rooms
  sharding/planning
  sharding/images
  worker/tokenizer
  worker/checkpoint
  worker/images
  worker/batching
  worker/postprocessing
  worker/communicator
  worker/kernels
  worker/models
  worker/attention
  worker/inference
  worker/kinds)
set(_sources ${CMAKE_SOURCE_DIR}/worker/base/activation.h)
foreach(_room ${_rooms})
  file(GLOB_RECURSE _found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${_room}/*.cc ${CMAKE_SOURCE_DIR}/${_room}/*.h)
  list(APPEND _sources ${_found})
endforeach()
set(PROCTOR_GENERATED ${CMAKE_BINARY_DIR}/generated)
add_custom_command(
  OUTPUT ${PROCTOR_GENERATED}/numerics.h
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/numerics.py --root ${CMAKE_SOURCE_DIR} --out ${PROCTOR_GENERATED}/numerics.h ${_sources}
  DEPENDS ${CMAKE_SOURCE_DIR}/tools/numerics.py ${_sources}
  VERBATIM)
