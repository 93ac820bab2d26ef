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

# Compilers differ in the processors that they know: gcc 12 and 13 have no SME, gcc 10 no AVX-VNNI. ggml adds each of its
# CPU variants by ggml_add_cpu_backend_variant_impl: here it is a function that leaves out those whose flags the compiler
# refuses. Their names and flags go to stderr, and into the file that SEALLM_LEFT_OUT names.
#
# It leaves out, too, what costs a fifth of the build and speeds up nothing: AMX, whose code is unreliable, and variants
# that have but bfloat16 or VBMI beyond the next best one, on processors of servers and of one laptop.
set(SEALLM_UNUSED_VARIANTS sapphirerapids cooperlake cannonlake)
if(PROJECT_NAME STREQUAL "ggml" AND GGML_CPU_ALL_VARIANTS)
  set(cpu_lists "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu/CMakeLists.txt")
  file(READ "${cpu_lists}" text)
  exchange(text "function(ggml_add_cpu_backend_variant_impl " "function(add_cpu_variant ")
  exchange(text "ggml_add_backend_library(\${GGML_CPU_NAME})" "add_cpu_library(\${GGML_CPU_NAME})")
  file(WRITE "${cpu_lists}" "${text}")

  # The library of a variant; to know its flags only, a target that nothing builds.
  function(add_cpu_library name)
    if(only_flags)
      add_library(${name} OBJECT EXCLUDE_FROM_ALL)
    else()
      ggml_add_backend_library(${name})
    endif()
  endfunction()

  function(ggml_add_cpu_backend_variant_impl tag)
    if(tag IN_LIST SEALLM_UNUSED_VARIANTS)
      return()
    endif()
    set(only_flags ON)
    add_cpu_variant(${tag}-flags)
    set(only_flags OFF)
    set(target ggml-cpu-${tag}-flags)
    if(TARGET ${target}-feats)
      set_target_properties(${target}-feats PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
    get_target_property(flags ${target} COMPILE_OPTIONS)
    get_directory_property(common COMPILE_OPTIONS)
    list(REMOVE_ITEM flags ${common} "flags-NOTFOUND")
    string(GENEX_STRIP "${flags}" flags)
    string(REPLACE ";" " " flags "${flags}")

    include(CheckCSourceCompiles)
    set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
    set(CMAKE_REQUIRED_FLAGS "${flags}")
    string(MAKE_C_IDENTIFIER "COMPILER_KNOWS_${tag}" knows)
    check_c_source_compiles("int product(int a, int b) { return a * b; }" ${knows})
    if(${knows})
      add_cpu_variant(${tag})
    else()
      message(NOTICE "CPU variant ${tag} is left out: the compiler refuses ${flags}")
      if(SEALLM_LEFT_OUT)
        file(APPEND "${SEALLM_LEFT_OUT}" "${tag}: ${flags}\n")
      endif()
    endif()
  endfunction()
endif()

# ggml multiplies quantized weights with activations by kernels/matmul.c, where it can. Arm has good ones of ggml's own.
if(PROJECT_NAME STREQUAL "ggml" AND CMAKE_SYSTEM_NAME STREQUAL "Linux"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang)$")
  set(cpu "${CMAKE_CURRENT_SOURCE_DIR}/src/ggml-cpu")
  file(READ "${cpu}/ggml-cpu.c" text)
  exchange(text "#include \"ggml-cpu-impl.h\"\n" "#include \"ggml-cpu-impl.h\"\n#include \"hooks.h\"\n")
  exchange(text "    // If tiled is supported, it will execute" "    if (seallm_matmul(params, dst)) {
        return;
    }
    // If tiled is supported, it will execute")
  exchange(text "    size_t work_size = 0;\n" "    size_t work_size = 0, matmul_size = 0;\n")
  exchange(text "        work_size = MAX(work_size, cur);\n" "        work_size = MAX(work_size, cur);
        if (node->op == GGML_OP_MUL_MAT) {
            matmul_size = MAX(matmul_size, seallm_matmul_size(node, n_tasks));
        } else if (node->op == GGML_OP_FLASH_ATTN_EXT) {
            work_size = MAX(work_size, seallm_attention_size(node, n_tasks));
        }\n")
  exchange(text "                ggml_compute_forward_flash_attn_ext(params, tensor);\n" "                if (!seallm_attention(params, tensor)) {
                    ggml_compute_forward_flash_attn_ext(params, tensor);
                }\n")
  exchange(text "    if (work_size > 0) {\n        work_size += CACHE_LINE_SIZE"
    "    work_size += matmul_size;\n    if (work_size > 0) {\n        work_size += CACHE_LINE_SIZE")
  exchange(text "    GGML_ASSERT(cplan->work_size == 0 || cplan->work_data != NULL);\n"
    "    GGML_ASSERT(cplan->work_size == 0 || cplan->work_data != NULL);
    seallm_matmul_begin(cplan->work_data, cplan->work_size);\n")
  file(WRITE "${cpu}/ggml-cpu.c" "${text}")
  file(READ "${cpu}/CMakeLists.txt" text)
  exchange(text "        ggml-cpu/ggml-cpu.c\n" "        ggml-cpu/ggml-cpu.c\n        ggml-cpu/matmul.c\n        ggml-cpu/attention.c\n")
  file(WRITE "${cpu}/CMakeLists.txt" "${text}")
  file(GLOB kernels "${CMAKE_CURRENT_LIST_DIR}/kernels/*.[ch]")
  file(COPY ${kernels} DESTINATION "${cpu}")
endif()

# Attention of our own sums up by position, not by cell: a mask tells it the positions of the KV cache's cells.
if(PROJECT_NAME STREQUAL "llama.cpp" AND CMAKE_SYSTEM_NAME STREQUAL "Linux"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$" AND CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang)$")
  set(cells "${CMAKE_CURRENT_SOURCE_DIR}/src/llama-kv-cells.h")
  file(READ "${cells}" text)
  exchange(text "    bool get_has_shift() const {" "    // of each cell; -1 where it is empty
    const llama_pos * positions() const {
        return pos.data();
    }

    bool get_has_shift() const {")
  file(WRITE "${cells}" "${text}")
  set(cache "${CMAKE_CURRENT_SOURCE_DIR}/src/llama-kv-cache.cpp")
  file(READ "${cache}" text)
  exchange(text "    const args_set_input_kq_mask args = {" "    // one sequence of positions for all of the cells, which say nothing but whether one is visible
    const bool has_positions = n_stream == 1 && !hparams.use_alibi;
    dst->extra = has_positions ? (void *) v_cells[seq_to_stream[ubatch->seq_id[0][0]]].positions() : nullptr;

    const args_set_input_kq_mask args = {")
  file(WRITE "${cache}" "${text}")
endif()

# A step on a GPU that fails ends by guard.h, and so does the copying of states.
if(PROJECT_NAME STREQUAL "llama.cpp")
  set(context "${CMAKE_CURRENT_SOURCE_DIR}/src/llama-context.cpp")
  file(READ "${context}" text)
  exchange(text "#include \"llama-context.h\"\n" "#include \"llama-context.h\"\n#include \"guard.h\"\n")
  exchange(text "llama_context_params llama_context_default_params() {\n" "template <typename Value, typename Work>
static Value guarded(llama_context * ctx, Value otherwise, Work work) {
    if (ctx->get_model().devices.empty()) {
        return work();
    }
    return seallm::guarded(otherwise, [&] {
        const Value value = work();
        ctx->synchronize();  // what fails late shall fail here
        return value;
    }, [](const char * what) { LLAMA_LOG_ERROR(\"%s\\n\", what); });
}

llama_context_params llama_context_default_params() {\n")
  exchange(text "    const int ret = ctx->decode(batch);\n    if (ret != 0 && ret != 1) {"
    "    const int ret = guarded(ctx, seallm::LOST, [&] { return ctx->decode(batch); });\n    if (ret != 0 && ret != 1 && ret != seallm::LOST) {")
  exchange(text "    ctx->synchronize();\n\n    return ctx->state_seq_get_data(seq_id, dst, size, flags);"
    "    return guarded(ctx, size_t(0), [&] {
        ctx->synchronize();
        return ctx->state_seq_get_data(seq_id, dst, size, flags);
    });")
  exchange(text "    ctx->synchronize();\n\n    return ctx->state_seq_set_data(seq_id, src, size, flags);"
    "    return guarded(ctx, size_t(0), [&] {
        ctx->synchronize();
        return ctx->state_seq_set_data(seq_id, src, size, flags);
    });")
  # llama.cpp copies to and from the GPU in destructors, which cannot throw: it shall do so before.
  exchange(text "    ~llama_io_write_host() {\n" "    ~llama_io_write_host() {
        flush();
    }

    void flush() override {
        const auto waiting = std::move(winfos);
        winfos.clear();\n")
  exchange(text "        for (const auto & winfo : winfos) {\n            ggml_backend_tensor_get("
    "        for (const auto & winfo : waiting) {\n            ggml_backend_tensor_get(")
  exchange(text "    ~llama_io_read_host() {\n" "    ~llama_io_read_host() {
        flush();
    }

    void flush() override {
        const auto waiting = std::move(rinfos);
        rinfos.clear();\n")
  exchange(text "        for (const auto & rinfo : rinfos) {\n            ggml_backend_tensor_set("
    "        for (const auto & rinfo : waiting) {\n            ggml_backend_tensor_set(")
  foreach(way write read)
    exchange(text "        return state_seq_${way}_data(*io, seq_id, flags);"
      "        const size_t size_done = state_seq_${way}_data(*io, seq_id, flags);
        io->flush();
        return size_done;")
  endforeach()
  file(WRITE "${context}" "${text}")
  set(io "${CMAKE_CURRENT_SOURCE_DIR}/src/llama-io.h")
  file(READ "${io}" text)
  foreach(done written read)
    exchange(text "    // bytes ${done} so far\n" "    // do now what waits for the destructor
    virtual void flush() {}

    // bytes ${done} so far\n")
  endforeach()
  file(WRITE "${io}" "${text}")
  file(COPY "${CMAKE_CURRENT_LIST_DIR}/guard.h" DESTINATION "${CMAKE_CURRENT_SOURCE_DIR}/src")
endif()

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
endif()

# A compiler for Arm makes one instruction of a * b + c, which rounds once, unless it is told not to: a converted model has
# the bytes that it has on x86-64.
if(PROJECT_NAME STREQUAL "ggml" AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$"
   AND CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang|AppleClang)$")
  file(APPEND "${CMAKE_CURRENT_SOURCE_DIR}/src/CMakeLists.txt"
    "\nset_source_files_properties(ggml-quants.c PROPERTIES COMPILE_OPTIONS -ffp-contract=off)\n")
endif()
