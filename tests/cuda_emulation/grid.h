// Runs the threads of a grid on the calling thread of the host.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <string>

namespace cuda_emulation {

// Runs all blocks, one after the other; `reverse`: from the last to the first, threads too.
void run_grid(dim3 grid, dim3 block, const std::function<void()>& thread, bool reverse);

// "thread (1,0,0) of block (2,0,0)" while a kernel runs on the calling thread, else "".
std::string running_thread();

}  // namespace cuda_emulation
