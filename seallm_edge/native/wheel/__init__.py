"""How the wheel of llama-cpp-python is built: for every CPU, with the kernels of our own in C."""
