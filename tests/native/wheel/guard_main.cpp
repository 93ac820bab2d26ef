// Ways in which a step ends, told on stdout; the last one, `abort`, ends the program.

#include "guard.h"

#include <cstring>
#include <thread>

static int guarded(int (*work)()) {
    return seallm::guarded(seallm::LOST, work, [](const char * what) { printf("told: %s\n", what); });
}

static int end() {
    ggml_abort("ggml-cuda.cu", 7, "%s", "CUDA error");
}

int main(int argc, char ** argv) {
    const char * how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "value")) {
        printf("%d\n", guarded([] { return 2; }));
    } else if (!strcmp(how, "throw")) {
        printf("%d\n", guarded([]() -> int { throw std::runtime_error("ErrorDeviceLost"); }));
    } else if (!strcmp(how, "abort")) {
        printf("%d\n", guarded(end));
        printf("%d\n", guarded([] { return 2; }));
    } else if (!strcmp(how, "after")) {
        guarded([] { return 2; });
        end();
    } else if (!strcmp(how, "beside")) {
        guarded([] {
            std::thread([] { end(); }).join();
            return 2;
        });
    }
    return 0;
}
