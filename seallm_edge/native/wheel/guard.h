// A GPU whose driver gives up, or that has no memory left, makes ggml throw or abort in the middle of a step. Here that
// ends the step, not the process: the program goes on without the GPU.
#pragma once

#include "ggml.h"

#include <cstdio>
#include <exception>
#include <stdexcept>

namespace seallm {

// What a step gives that ended so. The context can be neither used nor freed after it.
const int LOST = -10;

inline thread_local bool is_guarded = false;

// ggml calls this before it aborts: to throw, within a guarded step, is the way around that.
inline void throw_or_print(const char * message) {
    if (is_guarded) {
        throw std::runtime_error(message);
    }
    fprintf(stderr, "%s\n", message);
}

// The value of `work()`, or `otherwise` if it throws or aborts on this thread; `tell` gets the words.
template <typename Value, typename Work, typename Tell>
Value guarded(Value otherwise, Work work, Tell tell) {
    static const bool is_set = (ggml_set_abort_callback(throw_or_print), true);
    (void) is_set;
    Value value = otherwise;
    is_guarded = true;
    try {
        value = work();
    } catch (const std::exception & error) {
        tell(error.what());
    }
    is_guarded = false;
    return value;
}

}  // namespace seallm
