// Subnormal numbers slow arithmetic down a hundredfold; compute threads take them for zero.
#pragma once

namespace resnet {

// Makes subnormal operands and results zero on the calling thread and on those that it starts from now
// on. setup_threads() does so for the compute threads.
void flush_denormals();

}  // namespace resnet
