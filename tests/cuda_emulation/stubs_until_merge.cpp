// Refuses what no file of src/backends/cuda implements yet. To be deleted when all ops are there.
#include "backends/cuda/implementation.h"

namespace resnet::cuda {

#define REFUSE(Op)                                                                \
  __attribute__((weak)) Implementation implement(const Op&, const OpDesc& desc) { \
    return refuse(desc, "not written yet");                                       \
  }
REFUSE(Convolution)
REFUSE(InnerProduct)
REFUSE(BatchNorm)
REFUSE(UpdateStatistics)
REFUSE(Scale)
REFUSE(Eltwise)
REFUSE(Pooling)
REFUSE(Softmax)
REFUSE(SoftmaxLoss)
REFUSE(CountLabels)
REFUSE(Accuracy)
REFUSE(Dropout)
REFUSE(Concat)
REFUSE(Slice)
REFUSE(Reshape)
REFUSE(IdentityShortcut)
REFUSE(Reorder)
REFUSE(FoldBatchNorm)
REFUSE(Fill)
REFUSE(SgdUpdate)

}  // namespace resnet::cuda
