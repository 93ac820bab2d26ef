# Read by CMake at the start of each project of llama-cpp-python's build.

# llama-cpp-python forces the `common` library on, in the CMake cache; nothing here uses it, and it is a quarter of
# the build. A normal variable shadows the cache.
set(LLAMA_BUILD_COMMON OFF)

# ggml looks for block scales by the functions of block_search.h: two to three times as fast, and the same bytes. Where
# that is not checked (other compilers; other processors, where a * b + c may round once), ggml stays as it is.
if(PROJECT_NAME STREQUAL "ggml" AND CMAKE_SYSTEM_NAME STREQUAL "Linux"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(quants "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-quants.c")
  file(READ "${quants}" text)
  foreach(name best_index_int8 make_qx_quants make_qkx2_quants make_qkx3_quants)
    string(REGEX REPLACE "static (inline int|float) ${name}\\(" "static \\1 plain_${name}(" renamed "${text}")
    if(renamed STREQUAL text)
      message(FATAL_ERROR "ggml-quants.c defines no ${name}: block_search.h was written for another version")
    endif()
    set(text "${renamed}")
  endforeach()
  string(REPLACE "#define UNUSED GGML_UNUSED" "#include \"block_search.h\"" text "${text}")
  file(WRITE "${quants}" "${text}")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/block_search.h" DESTINATION "${CMAKE_CURRENT_SOURCE_DIR}/src")
endif()
