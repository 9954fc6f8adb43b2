// Refuses what no file of src/backends/cuda implements yet. To be deleted when training.cu is there.
#include "backends/cuda/implementation.h"

namespace resnet::cuda {

#define REFUSE(Op)                                                                \
  __attribute__((weak)) Implementation implement(const Op&, const OpDesc& desc) { \
    return refuse(desc, "not written yet");                                       \
  }
REFUSE(SgdUpdate)
REFUSE(ScaleBy)
REFUSE(SquaredNorm)
REFUSE(RecordBatch)
REFUSE(PrepareUpdate)

}  // namespace resnet::cuda
