# Read by CMake at the start of each project of llama-cpp-python's build.

# llama-cpp-python forces the `common` library on, in the CMake cache; nothing here uses it, and it is a quarter of
# the build. A normal variable shadows the cache.
set(LLAMA_BUILD_COMMON OFF)

# Put `to` where `from` stands in the text `variable`; the build ends where it does not stand there exactly once.
function(exchange variable from to)
  string(REPLACE "${from}" "${to}" changed "${${variable}}")
  string(REPLACE "${from}" "" without "${${variable}}")
  string(LENGTH "${from}" once)
  string(LENGTH "${${variable}}" before)
  string(LENGTH "${without}" after)
  math(EXPR missing "${before} - ${after}")
  if(NOT missing EQUAL once)
    message(FATAL_ERROR "ggml does not have once: ${from}\nthis was written for another version")
  endif()
  set(${variable} "${changed}" PARENT_SCOPE)
endfunction()

# Where this is not checked (other compilers; other processors, where a * b + c may round once), ggml stays as it is.
if(PROJECT_NAME STREQUAL "ggml" AND CMAKE_SYSTEM_NAME STREQUAL "Linux"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # ggml looks for block scales by the functions of block_search.h: two to three times as fast, and the same bytes.
  set(quants "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-quants.c")
  file(READ "${quants}" text)
  foreach(name best_index_int8 make_qx_quants make_qkx2_quants make_qkx3_quants)
    string(REGEX REPLACE "static (inline int|float) ${name}\\(" "static \\1 plain_${name}(" renamed "${text}")
    if(renamed STREQUAL text)
      message(FATAL_ERROR "ggml-quants.c defines no ${name}: block_search.h was written for another version")
    endif()
    set(text "${renamed}")
  endforeach()
  exchange(text "#define UNUSED GGML_UNUSED" "#include \"block_search.h\"")
  file(WRITE "${quants}" "${text}")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/block_search.h" DESTINATION "${CMAKE_CURRENT_SOURCE_DIR}/src")

  # ggml multiplies weights with a few rows by row_products.h, where it can: once through the weights for all of them.
  set(cpu "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu")
  file(READ "${cpu}/ggml-cpu.c" text)
  exchange(text "void ggml_compute_forward_mul_mat(\n" "#include \"row_products.h\"\n\nvoid ggml_compute_forward_mul_mat(\n")
  exchange(text "    // If tiled is supported, it will execute" "    if (row_products(params, dst)) {
        return;
    }
    // If tiled is supported, it will execute")
  exchange(text "cur += ggml_tiled_wdata_size(n_tasks, node);\n                    } break;\n                case GGML_OP_MUL_MAT_ID:"
    "cur += ggml_tiled_wdata_size(n_tasks, node);
                        cur = MAX(cur, row_products_size(node));
                    } break;
                case GGML_OP_MUL_MAT_ID:")
  file(WRITE "${cpu}/ggml-cpu.c" "${text}")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/row_products.h" DESTINATION "${cpu}")
endif()
