"""llama.cpp's libraries, with those that it opens by itself: the code for each kind of CPU, and for GPUs.

scikit-build-core installs those beside the packages, in `bin`.
"""

from pathlib import Path

from PyInstaller.utils.hooks import collect_dynamic_libs, get_package_paths

_SITE_PACKAGES, _ = get_package_paths("llama_cpp")

binaries = collect_dynamic_libs("llama_cpp")
binaries += [(str(path), "bin") for path in sorted((Path(_SITE_PACKAGES) / "bin").glob("*ggml-*"))]
